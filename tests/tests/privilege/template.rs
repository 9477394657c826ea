//! The stack as CloudFormation would make it of `template.yaml`, as far as roles and settings go.

use std::collections::BTreeMap;

use integration_tests::{Error, Result};
use serde_json::{Value, json};

/// Where and as what the stack is deployed.
pub(crate) struct Deployed {
    pub(crate) template: Value,
    /// The parameters that differ from their defaults.
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) account: String,
    pub(crate) region: String,
    /// What `!Ref` and `!GetAtt X.Arn` are of a resource.
    pub(crate) resources: BTreeMap<String, (String, String)>,
}

pub(crate) const STACK: &str = "gdr";

impl Deployed {
    /// The documents of the policies of a role, those that stand beside it too.
    pub(crate) fn policies(&self, role: &str) -> Result<Vec<Value>> {
        let mut documents = Vec::new();
        let inline = &self.template["Resources"][role]["Properties"]["Policies"];
        for policy in inline.as_array().into_iter().flatten() {
            documents.push(self.resolve(&policy["PolicyDocument"])?);
        }
        let resources = self.template["Resources"].as_object();
        for resource in resources.into_iter().flat_map(serde_json::Map::values) {
            let named = resource["Properties"]["Roles"].as_array();
            let named = named.is_some_and(|roles| roles.contains(&json!({ "Ref": role })));
            if resource["Type"] == "AWS::IAM::Policy" && named && self.exists(resource)? {
                documents.push(self.resolve(&resource["Properties"]["PolicyDocument"])?);
            }
        }
        Ok(documents)
    }

    /// The environment of a function.
    pub(crate) fn environment(&self, function: &str) -> Result<BTreeMap<String, String>> {
        let of_all = &self.template["Globals"]["Function"];
        let own = &self.template["Resources"][function]["Properties"];
        let mut environment = BTreeMap::new();
        for settings in [of_all, own].map(|place| &place["Environment"]["Variables"]) {
            for (name, value) in settings.as_object().into_iter().flatten() {
                environment.insert(name.clone(), text(&self.resolve(value)?)?);
            }
        }
        Ok(environment)
    }

    fn exists(&self, resource: &Value) -> Result<bool> {
        match resource["Condition"].as_str() {
            Some(condition) => self.holds(&json!({ "Condition": condition })),
            None => Ok(true),
        }
    }

    fn holds(&self, condition: &Value) -> Result<bool> {
        let (function, argument) = only(condition)?;
        let several = || argument.as_array().into_iter().flatten();
        match function {
            "Condition" => {
                let name = argument.as_str().unwrap_or_default();
                self.holds(&self.template["Conditions"][name])
            }
            "Equals" => Ok(self.resolve(&argument[0])? == self.resolve(&argument[1])?),
            "Not" => Ok(!self.holds(&argument[0])?),
            "And" => several().try_fold(true, |all, part| Ok(self.holds(part)? && all)),
            "Or" => several().try_fold(false, |any, part| Ok(self.holds(part)? || any)),
            other => Err(format!("the condition {other} is not known here").into()),
        }
    }

    pub(crate) fn resolve(&self, value: &Value) -> Result<Value> {
        match value {
            Value::Array(items) => items.iter().map(|item| self.resolve(item)).collect(),
            Value::Object(members) => {
                if let Ok((function, argument)) = only(value) {
                    match function {
                        "Ref" => return Ok(json!(self.named(&text(argument)?)?)),
                        "GetAtt" => return Ok(json!(self.named(&text(argument)?)?)),
                        "If" => {
                            let holds = self.holds(&json!({ "Condition": argument[0] }))?;
                            return self.resolve(&argument[if holds { 1 } else { 2 }]);
                        }
                        "Sub" => return Ok(json!(self.substitute(&text(argument)?)?)),
                        "Split" => {
                            let whole = text(&self.resolve(&argument[1])?)?;
                            let by = text(&argument[0])?;
                            let parts = whole.split(&by);
                            return Ok(parts.map(Value::from).collect());
                        }
                        "Join" => {
                            let parts = argument[1].as_array().into_iter().flatten();
                            let parts = parts.map(|part| text(&self.resolve(part)?));
                            let parts: Vec<_> = parts.collect::<Result<_>>()?;
                            return Ok(json!(parts.join(&text(&argument[0])?)));
                        }
                        _ => {}
                    }
                }
                let members = members.iter();
                members
                    .map(|(key, member)| Ok((key.clone(), self.resolve(member)?)))
                    .collect::<Result<serde_json::Map<_, _>>>()
                    .map(Value::Object)
            }
            other => Ok(other.clone()),
        }
    }

    fn substitute(&self, text: &str) -> Result<String> {
        let mut parts = text.split("${");
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').ok_or("a placeholder without an end")?;
            whole += &self.named(name)?;
            whole += rest;
        }
        Ok(whole)
    }

    /// What `!Ref name`, or `!GetAtt name` with an attribute, is.
    fn named(&self, name: &str) -> Result<String> {
        let pseudo = match name {
            "AWS::AccountId" => Some(self.account.as_str()),
            "AWS::Partition" => Some("aws"),
            "AWS::Region" => Some(self.region.as_str()),
            "AWS::StackName" => Some(STACK),
            _ => None,
        };
        if let Some(value) = pseudo {
            return Ok(value.to_owned());
        }
        if let Some(given) = self.parameters.get(name) {
            return Ok(given.clone());
        }
        let default = &self.template["Parameters"][name]["Default"];
        if !default.is_null() {
            return text(default);
        }
        let (resource, attribute) = name.split_once('.').unwrap_or((name, ""));
        let found = self.resources.get(resource);
        let (reference, arn) = found.ok_or_else(|| format!("what {name} is is not known here"))?;
        match attribute {
            "" => Ok(reference.clone()),
            "Arn" => Ok(arn.clone()),
            _ => Err(format!("{name} is not known here").into()),
        }
    }
}

fn only(value: &Value) -> Result<(&str, &Value)> {
    let members = value.as_object().filter(|members| members.len() == 1);
    let member = members.and_then(|members| members.iter().next());
    let (name, argument) = member.ok_or_else(|| Error::from("not a function of CloudFormation"))?;
    Ok((name, argument))
}

fn text(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        other => Err(format!("no text: {other}").into()),
    }
}
