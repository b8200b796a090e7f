//! Which claims mean which place: `CLAIM=VALUE -> ORGANISATION:ROLE`, several separated by semicolons; the first that fits counts.

use std::str::FromStr;

use serde_json::Value;

use crate::{Claims, Error};

/// Where somebody belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The organisation's name.
    pub organisation: String,
    /// The word of the role.
    pub role: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    claim: String,
    value: String,
    place: Place,
}

/// Rules in their order. Whom none of them names is nobody here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

impl FromStr for Rules {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |part: &str| Error::Setting {
            setting: "oidc_rules",
            en: format!(
                "{part:?} is not of the form CLAIM=VALUE -> ORGANISATION:ROLE, such as email=@example.org -> default:member"
            ),
            zh: format!(
                "{part:?} 的格式应为 声明=值 -> 组织:角色，例如 email=@example.org -> default:member"
            ),
        };
        let mut rules = Vec::new();
        for part in text.split([';', '\n']).map(str::trim).filter(|part| !part.is_empty()) {
            let (condition, place) = part.split_once("->").ok_or_else(|| wrong(part))?;
            let (claim, value) = condition.split_once('=').ok_or_else(|| wrong(part))?;
            let (organisation, role) = place.rsplit_once(':').ok_or_else(|| wrong(part))?;
            let fields = [claim, value, organisation, role].map(|field| field.trim().to_owned());
            if fields.iter().any(String::is_empty) {
                return Err(wrong(part));
            }
            let [claim, value, organisation, role] = fields;
            rules.push(Rule { claim, value, place: Place { organisation, role } });
        }
        Ok(Self(rules))
    }
}

impl Rules {
    /// Every place that they name.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.0.iter().map(|rule| &rule.place)
    }

    /// The place of the first rule that fits.
    pub fn place(&self, claims: &Claims) -> Option<&Place> {
        self.0.iter().find(|rule| rule.fits(claims)).map(|rule| &rule.place)
    }
}

impl Rule {
    fn fits(&self, claims: &Claims) -> bool {
        // Only an address that the provider has made sure of: anybody could have typed another.
        if self.claim == "email" {
            return claims.email().is_some_and(|email| match self.value.strip_prefix('@') {
                Some(domain) => {
                    email.rsplit_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain))
                }
                None => email.eq_ignore_ascii_case(&self.value),
            });
        }
        // A claim within a claim, as Keycloak's realm_access.roles, unless there is one with the whole name.
        let found = claims.all.get(&self.claim).or_else(|| {
            let (first, rest) = self.claim.split_once('.')?;
            rest.split('.').try_fold(claims.all.get(first)?, |value, name| value.get(name))
        });
        match found {
            Some(Value::Array(list)) => list.iter().any(|one| self.is(one)),
            Some(value) => self.is(value),
            None => false,
        }
    }

    fn is(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => *text == self.value,
            Value::Bool(flag) => self.value == flag.to_string(),
            Value::Number(number) => self.value == number.to_string(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(rules: &str, claims: &str) -> Option<String> {
        let rules: Rules = rules.parse().expect("rules");
        let all = serde_json::from_str(claims).expect("JSON");
        let claims = Claims { issuer: "i".into(), subject: "s".into(), all };
        rules.place(&claims).map(|place| format!("{}:{}", place.organisation, place.role))
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rules = "groups=ai-admins -> default:owner; realm_access.roles=staff->clinic:member\n\
             email=@example.org -> default:member; email=guest@else.where -> default:auditor; vip=true -> a:b:member";
        for (claims, expected) in [
            (
                r#"{"groups": ["x", "ai-admins"], "email": "a@example.org", "email_verified": true}"#,
                Some("default:owner"),
            ),
            (r#"{"groups": "ai-admins"}"#, Some("default:owner")),
            (r#"{"realm_access": {"roles": ["staff"]}}"#, Some("clinic:member")),
            (r#"{"realm_access.roles": ["staff"]}"#, Some("clinic:member")),
            (r#"{"email": "A@Example.ORG", "email_verified": true}"#, Some("default:member")),
            (r#"{"email": "guest@else.where", "email_verified": true}"#, Some("default:auditor")),
            (r#"{"vip": true}"#, Some("a:b:member")),
            (r#"{"email": "a@example.org"}"#, None),
            (r#"{"email": "a@sub.example.org", "email_verified": true}"#, None),
            (r#"{"email": "a@example.org@evil.example", "email_verified": true}"#, None),
            (r#"{"groups": ["AI-admins"], "realm_access": "staff"}"#, None),
            ("{}", None),
        ] {
            assert_eq!(place(rules, claims).as_deref(), expected, "{claims}");
        }
        assert_eq!(place("", r#"{"groups": "ai-admins"}"#), None);
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for wrong in [
            "email",
            "email=@x",
            "email=@x -> default",
            "=x -> a:b",
            "a= -> a:b",
            "a=b -> :owner",
            "a=b -> x:",
        ] {
            assert!(wrong.parse::<Rules>().is_err(), "{wrong}");
        }
    }
}
