//! Source text as the law reads it: tokens without comments and strings, and the paths that stand in them.

/// A path as it stands in the code, resolved to start at `crate` where it is relative.
pub struct Named {
    pub segments: Vec<String>,
    pub reexport: bool,
    pub renamed: bool,
}

impl Named {
    /// Whether the segments of `word` stand in the path in a row.
    pub fn holds(&self, word: &str) -> bool {
        let word: Vec<&str> = word.split("::").collect();
        self.segments.windows(word.len()).any(|window| window == word)
    }
}

pub fn paths(name: &str, code: &[String]) -> Vec<Named> {
    let home = module_path(name);
    let mut found = vec![];
    let mut at = 0;
    while at < code.len() {
        let continues = at > 0 && code[at - 1] == "::";
        if continues || !is_name(&code[at]) {
            at += 1;
            continue;
        }
        let public =
            at > 1 && code[at - 1] == "use" && [")", "pub"].contains(&code[at - 2].as_str());
        let mut trees = vec![];
        at = path_tree(code, at, &[], &mut trees);
        for (segments, renamed) in trees {
            let twice_up = segments.starts_with(&["super".into(), "super".into()]);
            let reexport = public;
            if twice_up {
                found.push(Named { segments: segments.clone(), reexport, renamed });
            }
            found.push(Named { segments: resolve(&home, segments), reexport, renamed });
        }
    }
    found
}

/// Reads one path or `use` tree from `at`; returns where it ends.
fn path_tree(
    code: &[String],
    mut at: usize,
    before: &[String],
    found: &mut Vec<(Vec<String>, bool)>,
) -> usize {
    let token = |at: usize| code.get(at).map_or("", String::as_str);
    let mut path = before.to_vec();
    loop {
        path.push(code[at].clone());
        at += 1;
        if token(at) != "::" {
            break;
        }
        at += 1;
        if token(at) == "{" {
            at += 1;
            while at < code.len() && token(at) != "}" {
                if is_name(token(at)) || token(at) == "*" {
                    at = path_tree(code, at, &path, found);
                } else {
                    at += 1;
                }
            }
            return at + 1;
        }
        if !is_name(token(at)) && token(at) != "*" {
            break;
        }
    }
    found.push((path, token(at) == "as"));
    at
}

/// `src/duty/call.rs` is `crate::duty::call`, and so is `src/duty/call/mod.rs`.
fn module_path(name: &str) -> Vec<String> {
    let inside = name.trim_start_matches("src/").trim_end_matches(".rs");
    let parts = inside.split('/').filter(|part| !["mod", "lib", "main"].contains(part));
    std::iter::once("crate").chain(parts).map(String::from).collect()
}

fn resolve(home: &[String], segments: Vec<String>) -> Vec<String> {
    let mut base = home.to_vec();
    match segments[0].as_str() {
        "self" => {}
        "super" => {
            base.pop();
        }
        "dutyline" => base.truncate(1),
        _ => return segments,
    }
    let mut rest = segments[1..].iter().peekable();
    while rest.next_if(|segment| *segment == "super").is_some() {
        base.pop();
    }
    base.extend(rest.cloned());
    if base.is_empty() { segments } else { base }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names and signs; comments are left out, and strings, characters and lifetimes are `""`.
pub fn tokens(text: &str) -> Vec<String> {
    let mut found = vec![];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
            continue;
        } else if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
            continue;
        } else if rest.starts_with("/*") {
            rest = &rest[block_comment(rest)..];
            continue;
        } else if let Some(length) = literal(rest) {
            found.push("\"\"".to_string());
            rest = &rest[length..];
            continue;
        } else if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        found.push(rest[..length].to_string());
        rest = &rest[length..];
    }
    found
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string, character or lifetime that `text` starts with.
fn literal(text: &str) -> Option<usize> {
    let body = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - body.len();
    if prefix > 1 {
        return None;
    }
    if let Some(raw) = body.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let inside = &raw[hashes + 1..];
            let closed = inside.find(&end).map_or(inside.len(), |at| at + end.len());
            return Some(prefix + 1 + hashes + 1 + closed);
        }
        return None;
    }
    if body.starts_with('"') {
        return Some(prefix + quoted(body, '"'));
    }
    if !body.starts_with('\'') {
        return None;
    }
    let mut inside = body[1..].chars();
    let (one, two) = (inside.next()?, inside.next());
    if one == '\\' || two == Some('\'') {
        return Some(prefix + quoted(body, '\''));
    }
    let lifetime = body[1..].find(|c: char| !c.is_alphanumeric() && c != '_');
    (prefix == 0).then(|| 1 + lifetime.unwrap_or(body.len() - 1))
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}
