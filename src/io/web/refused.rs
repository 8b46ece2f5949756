//! A form that was refused: what was typed stays, the field at fault is named with the remedy, and the cursor goes there.

#[derive(Debug)]
pub struct Refused {
    /// Which form of the page, and of several alike which.
    form: (&'static str, i64),
    /// Empty: it is about none of them.
    field: &'static str,
    text: String,
    typed: Vec<(String, String)>,
}

static NOTHING: Refused = Refused::nothing();

impl Refused {
    pub const fn nothing() -> Self {
        Self { form: ("", 0), field: "", text: String::new(), typed: vec![] }
    }

    pub fn is_nothing(&self) -> bool {
        self.text.is_empty()
    }

    /// What is to be said of something else than a text that was typed.
    pub fn words(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::nothing() }
    }

    /// By its names in the page.
    pub fn typed(form: &'static str, typed: &[(&str, &str)]) -> Self {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Self { form: (form, 0), typed: typed.iter().map(owned).collect(), ..Self::nothing() }
    }

    /// Of several forms alike the one about this.
    pub fn about(self, id: i64) -> Self {
        Self { form: (self.form.0, id), ..self }
    }

    pub fn at(self, field: &'static str, text: impl Into<String>) -> Self {
        Self { field, text: text.into(), ..self }
    }

    /// What is to be said at the top of the page.
    pub fn head(&self) -> &str {
        if self.field.is_empty() { &self.text } else { "" }
    }

    /// What this form of the page is to show.
    pub fn form(&self, name: &str, id: i64) -> &Self {
        if self.form == (name, id) { self } else { &NOTHING }
    }

    pub fn said(&self, field: &str) -> &str {
        let said = self.typed.iter().find(|(name, _)| name == field);
        said.map_or("", |(_, text)| text)
    }

    /// Whether this was chosen or ticked.
    pub fn chose(&self, field: &str, value: &str) -> bool {
        self.typed.iter().any(|(name, text)| name == field && text == value)
    }

    pub fn text_at(&self, field: &str) -> &str {
        if self.field == field { &self.text } else { "" }
    }

    /// Attributes of the field.
    pub fn marks(&self, field: &str) -> &'static str {
        if self.field == field && !field.is_empty() {
            " autofocus aria-invalid=\"true\" aria-describedby=\"fault\""
        } else {
            ""
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_that_was_sent_shows_what_was_typed_and_only_the_field_at_fault_is_marked() {
        let refused = Refused::typed("hold", &[("number", "记-1"), ("reason", "<a>")]);
        let refused = refused.about(7).at("number", "请核对编号");
        let (shown, other) = (refused.form("hold", 7), refused.form("hold", 8));
        assert_eq!((shown.said("reason"), other.said("reason")), ("<a>", ""));
        assert!(shown.marks("number").contains("autofocus") && shown.marks("reason").is_empty());
        assert_eq!((shown.text_at("number"), other.text_at("number")), ("请核对编号", ""));
        assert_eq!(refused.head(), "", "it stands at its field");
        assert_eq!(Refused::words("须由另一人同意").head(), "须由另一人同意");
        assert!(NOTHING.marks("").is_empty());
    }
}
