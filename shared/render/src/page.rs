//! Pages for people: each one HTML file that is complete in itself.
//!
//! A page opens from a disk, a bucket or a mail, on a phone, in the dark and on paper. It loads nothing: its policy
//! (<https://www.w3.org/TR/CSP3/>) allows the one style sheet and the one script that are in it, by their hashes, and
//! no network. Names, tags and user agents come from attackers: [`maud`] escapes all text in its markup, [`Outside`]
//! makes invisible characters visible too, and [`Script`] embeds data that no text in it can end.

mod incident;
mod table;
mod words;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, Render, html};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use self::incident::{Place, Undone, render as incident};
pub use self::table::{Cell, Table};
pub use self::words::folded;
use model::finding::{printable, visible};

/// The style of every page. Text has a contrast of at least 4.5 to 1 in light and dark,
/// <https://www.w3.org/TR/WCAG22/#contrast-minimum>.
const STYLE: &str = include_str!("page/style.css");

/// A page.
#[derive(Debug)]
pub struct Page<'a> {
    /// The subject: the window's title and the first heading.
    pub title: &'a str,
    /// The facts that a reader must know before all else.
    pub lead: Markup,
    /// The contents, which the page lists with links to them.
    pub sections: Vec<Section<'a>>,
    /// The script that answers the reader. None: it only shows.
    pub script: Option<Script<'a>>,
}

/// A part of a page.
#[derive(Debug)]
pub struct Section<'a> {
    /// The name for links: lower-case letters and hyphens.
    pub id: &'static str,
    /// Its heading, of the second level. Headings in the contents begin at the third.
    pub heading: &'a str,
    /// The contents.
    pub content: Markup,
}

/// A script, and the data that it shows.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// Runs when all of the page is there. To put text from the data into the page it uses `textContent`,
    /// never `innerHTML`.
    pub code: &'static str,
    /// Is in the element with the id `data`:
    /// `JSON.parse(document.getElementById("data").textContent)`.
    pub data: &'a Value,
}

/// Text from outside: on one line, with invisible characters made visible, and cut if it is very long. It has no
/// influence on the direction of the text around it.
#[derive(Clone, Copy, Debug)]
pub struct Outside<'a>(pub &'a str);

impl Render for Outside<'_> {
    fn render(&self) -> Markup {
        html! { bdi { (printable(self.0)) } }
    }
}

/// Text from outside, line for line and in full.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a>(pub &'a str);

impl Render for Lines<'_> {
    fn render(&self) -> Markup {
        let lines: Vec<_> = self.0.lines().map(visible).collect();
        html! { pre { code { (lines.join("\n")) } } }
    }
}

/// A value as indented JSON, in full.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a>(pub &'a Value);

impl Render for Json<'_> {
    fn render(&self) -> Markup {
        let text = serde_json::to_string_pretty(self.0).unwrap_or_else(|error| error.to_string());
        Lines(&text).render()
    }
}

impl Page<'_> {
    /// The page as HTML.
    pub fn render(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(self.policy());
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    title { (printable(self.title)) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#main" { "Skip to the contents" }
                    header { h1 { (Outside(self.title)) } }
                    @if self.sections.len() > 1 {
                        nav aria-label="Contents" {
                            ul {
                                @for section in &self.sections {
                                    li { a href={ "#" (section.id) } { (Outside(section.heading)) } }
                                }
                            }
                        }
                    }
                    main #main tabindex="-1" {
                        (self.lead)
                        @for section in &self.sections {
                            section #(section.id) aria-labelledby={ (section.id) "-heading" } {
                                h2 id={ (section.id) "-heading" } { (Outside(section.heading)) }
                                (section.content)
                            }
                        }
                    }
                    footer {
                        p { "guardduty-responder " (env!("CARGO_PKG_VERSION")) }
                    }
                    @if let Some(script) = &self.script {
                        script #data type="application/json" { (PreEscaped(embedded(script.data))) }
                        script { (PreEscaped(script.code)) }
                    }
                }
            }
        };
        page.into_string()
    }

    /// The content security policy of the page. Data between `script` tags is not run, so no policy is asked about it.
    fn policy(&self) -> String {
        let mut policy = format!("default-src 'none'; style-src {}", source(STYLE));
        if let Some(script) = &self.script {
            let _ = write!(policy, "; script-src {}", source(script.code));
        }
        policy + "; base-uri 'none'; form-action 'none'"
    }
}

/// An inline element with exactly this text, <https://www.w3.org/TR/CSP3/#match-element-to-source-list>.
fn source(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)))
}

/// JSON that ends no element and opens none,
/// <https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements>.
/// The escapes are JSON's own: outside of its texts it has none of these characters.
fn embedded(data: &Value) -> String {
    let mut text = data.to_string();
    for (character, escape) in [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026")] {
        text = text.replace(character, escape);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page<'a>(title: &'a str, script: Option<Script<'a>>) -> String {
        Page {
            title,
            lead: html! { p { (Outside(title)) } (Json(&json!({ title: title }))) },
            sections: Vec::new(),
            script,
        }
        .render()
    }

    #[test]
    fn text_from_outside_is_only_text() {
        let page = page(
            "</title><script>alert(1)</script>\u{202e}\" onload=\"",
            None,
        );
        assert_eq!(page.matches("<script").count(), 0, "{page}");
        assert!(!page.contains('\u{202e}'), "{page}");
        assert!(page.contains("&lt;/title&gt;&lt;script&gt;"), "{page}");
    }

    #[test]
    fn a_page_without_a_script_may_run_none() {
        let page = page("x", None);
        assert!(!page.contains("script-src"), "{page}");
        assert!(page.contains("default-src 'none'"), "{page}");
    }

    #[test]
    fn no_text_ends_the_data_that_it_is_in() {
        let data = json!({ "</script><!--": "<script>]]>&amp;\u{2028}" });
        let embedded = embedded(&data);
        assert!(!embedded.contains(['<', '>', '&']), "{embedded}");
        assert_eq!(serde_json::from_str::<Value>(&embedded).unwrap(), data);
        let code = "let x = 1 && 2;";
        let page = page("x", Some(Script { code, data: &data }));
        assert!(page.contains(&source(code)), "{page}");
        assert_eq!(page.matches("</script>").count(), 2, "{page}");
    }
}
