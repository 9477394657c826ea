//! What keeps someone from using a page: by the browser's own accessibility tree, by the keyboard, and by
//! what can be computed of the rest, after WCAG 2.2, <https://www.w3.org/TR/WCAG22/>.

use serde_json::{Value, json};

use super::{Browser, Medium};
use crate::Result;

/// Roles of the accessibility tree that need a name: whoever hears the page hears nothing else of them.
const NAMED: [&str; 20] = [
    "button",
    "checkbox",
    "combobox",
    "ComboBoxSelect",
    "dialog",
    "DisclosureTriangle",
    "figure",
    "image",
    "link",
    "listbox",
    "radio",
    "region",
    "searchbox",
    "slider",
    "spinbutton",
    "SvgRoot",
    "switch",
    "tab",
    "table",
    "textbox",
];

impl Browser {
    /// Everything that is wrong with the page that is open, on every medium: what it asked for, what it
    /// complained of, and what keeps someone from using it. It is shown on a desktop afterwards.
    pub fn faults(&mut self) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        for medium in Medium::ALL {
            self.show_on(medium)?;
            let checks = include_str!("checks.js");
            let found = self.evaluate(&format!("({checks}\n)({})", medium.width()))?;
            let found = found.as_array().ok_or("no list of faults")?;
            let found = found.iter().filter_map(Value::as_str);
            faults.extend(found.map(|fault| format!("{medium:?}: {fault}")));
        }
        self.show_on(Medium::Desktop)?;
        faults.extend(self.unnamed()?);
        faults.extend(self.out_of_reach()?);
        faults.extend(self.problems()?);
        Ok(faults)
    }

    /// The role and the name of everything in the accessibility tree.
    pub fn accessible(&mut self) -> Result<Vec<(String, String)>> {
        let tree = self.call("Accessibility.getFullAXTree", json!({}))?;
        let nodes = tree["nodes"].as_array().ok_or("no accessibility tree")?;
        let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
        Ok(nodes
            .iter()
            .filter(|node| node["ignored"] != true)
            .map(|node| (text(&node["role"]), text(&node["name"])))
            .collect())
    }

    fn unnamed(&mut self) -> Result<Vec<String>> {
        let nodes = self.accessible()?.into_iter();
        Ok(nodes
            .filter(|(role, name)| NAMED.contains(&role.as_str()) && name.trim().is_empty())
            .map(|(role, _)| format!("a {role} has no name"))
            .collect())
    }

    /// Goes through the page with the Tab key: it must come to every control in the order in which they are
    /// read, show where it is, and come out again.
    fn out_of_reach(&mut self) -> Result<Vec<String>> {
        self.evaluate(
            "window.controls = [...document.querySelectorAll(
               'a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex^=\"-\"])')]
               .filter(it => it.checkVisibility({ visibilityProperty: true }) && !it.disabled
                 && !(it.type === 'radio' && !it.checked));
             document.activeElement.blur(); getSelection().removeAllRanges(); scrollTo(0, 0)",
        )?;
        let count = self
            .evaluate("controls.length")?
            .as_u64()
            .unwrap_or_default();
        let mut faults = Vec::new();
        for expected in 0..count {
            self.press("Tab")?;
            let at = self.evaluate(
                "(() => {
                   const it = document.activeElement, style = getComputedStyle(it);
                   const box = it.getBoundingClientRect();
                   return {
                     index: controls.indexOf(it),
                     what: it.outerHTML.slice(0, 120),
                     shown: style.outlineStyle === 'auto'
                       || style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
                     inView: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
                   };
                 })()",
            )?;
            let what = at["what"].as_str().unwrap_or_default();
            if at["index"] != expected {
                let wanted =
                    self.evaluate(&format!("controls[{expected}].outerHTML.slice(0, 120)"))?;
                faults.push(format!(
                    "the Tab key comes to {what} where {wanted} follows"
                ));
                return Ok(faults);
            }
            if at["shown"] != true {
                faults.push(format!("it does not show that {what} has the focus"));
            }
            if at["inView"] != true {
                faults.push(format!("{what} has the focus and is out of sight"));
            }
        }
        self.press("Tab")?;
        let last = count.saturating_sub(1);
        let left = format!("controls.indexOf(document.activeElement) !== {last}");
        if count > 1 && self.evaluate(&left)? != true {
            faults.push("the Tab key does not come out of the last control".to_owned());
        }
        Ok(faults)
    }
}
