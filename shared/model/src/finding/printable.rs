//! Text from outside, for people.

/// Makes text from outside safe to show: control characters, direction marks and other invisible characters become
/// visible escapes, and very long text is cut.
pub fn printable(text: &str) -> String {
    /// Bytes. A character that does not show takes up to ten as an escape.
    const LONGEST: usize = 2_000;
    if text.len() <= LONGEST && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut shown = String::new();
    for character in text.chars() {
        if shown.len() >= LONGEST {
            shown.push('…');
            break;
        }
        show(character, &mut shown);
    }
    shown
}

/// The same in full, however long it is.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        show(character, &mut shown);
    }
    shown
}

fn show(character: char, to: &mut String) {
    if character.is_control() || is_invisible(character) {
        to.extend(character.escape_unicode());
    } else {
        to.push(character);
    }
}

/// The characters of Unicode's general category Cf (format) and the separators of lines and
/// paragraphs, <https://www.unicode.org/reports/tr44/#General_Category_Values>: they change how the
/// text around them reads, and do not show themselves.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_for_terminals_and_mail_readers_are_made_visible() {
        assert_eq!(
            printable("a\u{202e}b\u{1b}[31m\n\u{61c}\u{e0041}"),
            "a\\u{202e}b\\u{1b}[31m\\u{a}\\u{61c}\\u{e0041}"
        );
        assert_eq!(printable("größe 文字 🔒"), "größe 文字 🔒");
        for long in ["x", "文", "\n"] {
            let shown = printable(&long.repeat(10_000));
            assert!(shown.len() <= 2_020 && shown.ends_with('…'), "{long:?}");
        }
    }
}
