//! Text from outside, for people.

/// Text from outside, made safe to show to a person: control characters, the marks that reverse the
/// direction of writing and those that cannot be seen become visible escapes, and what is very long
/// is cut.
pub fn printable(text: &str) -> String {
    const LONGEST: usize = 2_000;
    let mut shown = String::new();
    for character in text.chars().take(LONGEST) {
        let hides = matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        );
        if character.is_control() || hides {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_or_a_mail_reader_would_obey_is_made_visible() {
        assert_eq!(
            printable("a\u{202e}b\u{1b}[31m\n\u{61c}\u{e0041}"),
            "a\\u{202e}b\\u{1b}[31m\\u{a}\\u{61c}\\u{e0041}"
        );
        assert_eq!(printable("größe 文字 🔒"), "größe 文字 🔒");
        assert!(printable(&"x".repeat(10_000)).chars().count() <= 2_001);
    }
}
