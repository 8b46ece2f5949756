//! What of a text can be found: each Chinese character is a word, and letters and digits are cut into pieces, so that a
//! phrase finds exactly the texts that contain it, from the middle of a number on.
//!
//! Upper case is lower, full width is half; what is neither letter nor digit parts words, and beside a Chinese character
//! not even that.

/// Letters and digits of one piece.
const PIECE: usize = 3;
/// Characters that are looked at of a question, and phrases of it.
const ASKED: usize = 200;
const PHRASES: usize = 8;
/// Fewer are no telephone number.
const DIGITS: usize = 5;
/// Parts texts from each other: no text has such a word.
const END: char = '\u{241e}';
/// Begins what is no text.
const MARK: char = '\u{241f}';

/// A character as it is compared, and where it stands in its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folded {
    pub c: char,
    /// Bytes from the text's begin to the character's, and to its end.
    pub from: usize,
    pub to: usize,
}

/// A text as it is compared.
pub fn fold(text: &str) -> Vec<Folded> {
    let mut folded: Vec<Folded> = vec![];
    let mut parted = None;
    for (from, original) in text.char_indices() {
        let to = from + original.len_utf8();
        for c in half_width(original).to_lowercase() {
            if !c.is_alphanumeric() {
                parted.get_or_insert((from, to));
                continue;
            }
            if let (Some((from, to)), Some(last)) = (parted.take(), folded.last())
                && !is_word(last.c)
                && !is_word(c)
            {
                folded.push(Folded { c: ' ', from, to });
            }
            folded.push(Folded { c, from, to });
        }
    }
    folded
}

/// Where `phrase` stands in the text, in bytes; none where it does not.
pub fn place(text: &[Folded], phrase: &[Folded]) -> Option<(usize, usize)> {
    let same = |window: &&[Folded]| window.iter().zip(phrase).all(|(one, other)| one.c == other.c);
    let found = text.windows(phrase.len().max(1)).find(same).filter(|_| !phrase.is_empty())?;
    Some((found.first()?.from, found.last()?.to))
}

/// What an index is given: the words of all texts in their order, each text by itself.
pub fn indexed<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut words = String::new();
    for text in texts {
        let folded = fold(text);
        for run in runs(&folded) {
            pieces(run, 1, &mut words);
        }
        if !folded.is_empty() {
            words.push(END);
            words.push(' ');
        }
    }
    words
}

/// What asks an FTS5 index for the texts that contain a phrase; none where there is nothing to look for. A telephone number
/// is also looked for without what parts it.
pub fn asked(phrase: &str) -> Option<String> {
    let as_written = contains(phrase)?;
    let plain = number(phrase).and_then(|number| contains(&number));
    Some(match plain.filter(|plain| *plain != as_written) {
        Some(plain) => format!("({as_written} OR {plain})"),
        None => as_written,
    })
}

/// The digits of what can only be a telephone number, without China's code.
pub fn number(text: &str) -> Option<String> {
    let folded: String = text.chars().map(half_width).collect();
    let rest = folded.trim();
    let rest = rest.strip_prefix("+86").or_else(|| rest.strip_prefix("0086")).unwrap_or(rest);
    let other = |c: char| !c.is_ascii_digit() && !"+-() ".contains(c);
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    (!folded.contains(other) && digits.len() >= DIGITS).then_some(digits)
}

fn contains(phrase: &str) -> Option<String> {
    let folded = fold(phrase);
    let runs: Vec<&[Folded]> = runs(&folded).collect();
    let (last, before) = runs.split_last()?;
    let mut words = String::from("\"");
    for run in before {
        pieces(run, 1, &mut words);
    }
    // A run at the end may go on in the text.
    let goes_on = !is_word(last[0].c);
    let short = goes_on && last.len() < PIECE;
    pieces(
        last,
        if short {
            last.len()
        } else if goes_on {
            PIECE
        } else {
            1
        },
        &mut words,
    );
    words.truncate(words.trim_end().len());
    words.push('"');
    words.push_str(if short { " *" } else { "" });
    Some(words)
}

/// What a person has written into one field: phrases parted by blanks, or what stands in quotation marks.
pub fn phrases(text: &str) -> Vec<String> {
    let (mut phrases, mut phrase, mut quoted) = (vec![], String::new(), false);
    for c in text.chars().take(ASKED).chain(['\n']) {
        if matches!(c, '"' | '“' | '”' | '＂') {
            quoted = !quoted;
        }
        let ends = c == '\n' || matches!(c, '"' | '“' | '”' | '＂') || c.is_whitespace() && !quoted;
        if !ends {
            phrase.push(c);
        } else if !fold(&phrase).is_empty() && phrases.len() < PHRASES {
            phrases.push(std::mem::take(&mut phrase));
        } else {
            phrase.clear();
        }
    }
    phrases
}

/// A word for a property that is no text, such as an urgency.
pub fn mark(kind: &str, name: &str) -> String {
    let plain = name.chars().filter(char::is_ascii_alphanumeric);
    [MARK].into_iter().chain(kind.chars()).chain(plain).collect()
}

/// Each Chinese character by itself, letters and digits in a row together.
fn runs(folded: &[Folded]) -> impl Iterator<Item = &[Folded]> {
    let together = |one: &Folded, other: &Folded| {
        !is_word(one.c) && !is_word(other.c) && one.c != ' ' && other.c != ' '
    };
    folded.chunk_by(together).filter(|run| run[0].c != ' ')
}

/// From each character of a run on a piece, but none shorter than `least`.
fn pieces(run: &[Folded], least: usize, words: &mut String) {
    for at in 0..=run.len().saturating_sub(least) {
        let piece = &run[at..run.len().min(at + PIECE)];
        words.extend(piece.iter().map(|one| one.c));
        if !piece.is_empty() {
            words.push(' ');
        }
    }
}

fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    }
}

/// A character that is a word: Chinese, Japanese, Korean.
fn is_word(c: char) -> bool {
    matches!(c,
        '\u{2e80}'..='\u{9fff}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        fold(text).into_iter().map(|one| one.c).collect()
    }

    #[test]
    fn a_text_is_compared_without_case_width_and_what_parts_chinese() {
        assert_eq!(text("  ＡＢ－ｃ１：水管， 破裂 (3号)  "), "ab c1水管破裂3号");
        assert_eq!(text("！？…"), "");
    }

    #[test]
    fn chinese_is_cut_into_characters_and_numbers_into_pieces() {
        assert_eq!(indexed(["13号楼", "", "138"]), "13 3 号 楼 \u{241e} 138 38 8 \u{241e} ");
        assert_eq!(asked("号楼"), Some("\"号 楼\"".to_owned()));
        assert_eq!(asked("0007"), Some("\"000 007\"".to_owned()));
        assert_eq!(asked("楼13"), Some("\"楼 13\" *".to_owned()));
        assert_eq!(asked("13楼"), Some("\"13 3 楼\"".to_owned()));
        assert_eq!(asked("138"), Some("\"138\"".to_owned()));
        assert_eq!(asked(" ，\""), None);
        assert_eq!(asked("+86 138").as_deref(), Some("\"86 6 138\""), "too short for a number");
        assert_eq!(number("0311-8600 1234").as_deref(), Some("031186001234"));
        assert_eq!(number("＋８６13800130007").as_deref(), Some("13800130007"));
        assert_eq!(number("13800130007转2"), None);
        assert_eq!(mark("d", "busy_missed"), "\u{241f}dbusymissed");
    }

    #[test]
    fn a_question_is_parted_by_blanks_outside_of_quotation_marks() {
        assert_eq!(phrases("水管　破裂 13号 ， "), ["水管", "破裂", "13号"]);
        assert_eq!(phrases("“gas leak”氨气 \"a b"), ["gas leak", "氨气", "a b"]);
        assert_eq!(phrases(&"水 ".repeat(50)).len(), PHRASES);
    }

    #[test]
    fn a_phrase_is_shown_where_it_stands() {
        let shown = |whole: &'static str, phrase| {
            place(&fold(whole), &fold(phrase)).map(|(from, to)| &whole[from..to])
        };
        assert_eq!(shown("城北ＡＢ水管，破裂", "ab水管破"), Some("ＡＢ水管，破"));
        assert_eq!(shown("13800130007", "0007"), Some("0007"));
        assert_eq!(shown("13800130007", "0008"), None);
        assert_eq!(shown("x", ""), None);
    }
}
