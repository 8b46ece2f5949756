//! Where the lines of a message end. Only door to memchr.

use memchr::memchr;

/// The place of the first LF.
pub fn end_of_line(bytes: &[u8]) -> Option<usize> {
    memchr(b'\n', bytes)
}

/// All lines, each with its end; the last may have none.
pub fn lines(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let end = end_of_line(rest).map_or(rest.len(), |end| end + 1);
        let (line, next) = rest.split_at(end);
        rest = next;
        (!line.is_empty()).then_some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_are_cut_where_they_end(text in "[a\n\r]{0,12}") {
            let bytes = text.as_bytes();
            prop_assert!(lines(bytes).eq(bytes.split_inclusive(|&b| b == b'\n')));
        }
    }
}
