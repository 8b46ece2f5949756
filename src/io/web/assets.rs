//! Style sheet, scripts and icon, built into the program.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "src/io/web/assets/"]
struct Assets;

/// `GET /static/{path}`: only names that were built in exist, so no path can leave the folder.
pub async fn get(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let Some(file) = Assets::get(&path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let caching = [(ETAG, tag.clone()), (CACHE_CONTROL, "no-cache".to_owned())];
    let known = headers.get(IF_NONE_MATCH).and_then(|held| held.to_str().ok());
    if known.is_some_and(|held| held.split(',').any(|held| held.trim() == tag)) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, media_type(&path))], file.data).into_response()
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[tokio::test]
    async fn an_asset_that_the_browser_holds_is_not_sent_again() {
        let first = get(Path("app.css".to_owned()), HeaderMap::new()).await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[CONTENT_TYPE], "text/css; charset=utf-8");
        let held = HeaderMap::from_iter([(IF_NONE_MATCH, first.headers()[ETAG].clone())]);
        let again = get(Path("app.css".to_owned()), held).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let other = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("\"x\""))]);
        assert_eq!(get(Path("app.css".to_owned()), other).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn nothing_outside_the_folder_is_an_asset() {
        for path in ["../mod.rs", "/etc/passwd", "vendor/../../mod.rs", "", "vendor"] {
            let answer = get(Path(path.to_owned()), HeaderMap::new()).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn every_file_that_a_page_names_is_built_in() {
        let pages = [
            include_str!("templates/layout.html"),
            include_str!("templates/card.html"),
            include_str!("templates/desk.html"),
            include_str!("templates/sheet.html"),
        ];
        let mut named = 0;
        for page in pages {
            for rest in page.split("/static/").skip(1) {
                let name = rest.split('"').next().unwrap_or_default();
                assert!(Assets::get(name).is_some(), "{name}");
                named += 1;
            }
        }
        assert!(named >= 5, "the pages name their assets as /static/…");
    }

    #[test]
    fn the_page_asks_nobody_else_for_anything() {
        for name in Assets::iter().filter(|name| !name.starts_with("vendor/")) {
            let file = Assets::get(&name).unwrap();
            let text = String::from_utf8(file.data.into_owned()).unwrap();
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{name}");
            assert!(!text.contains("innerHTML =") && !text.contains("eval("), "{name}");
        }
    }
}
