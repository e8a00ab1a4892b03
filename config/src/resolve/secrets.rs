//! Passwords and keys written into definitions: refused, and never repeated in the message.

use crate::decode::shorten;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::tree::{Content, Node};
use crate::value::DataType;

/// Fields whose literal value is a secret.
const SECRET_FIELDS: [&str; 10] = [
    "password",
    "passwd",
    "secret",
    "client_secret",
    "private_key",
    "secret_key",
    "secret_access_key",
    "access_key",
    "api_key",
    "sasl_password",
];

/// Maps whose keys are the user's own column names: `password: string` there is a column.
const COLUMN_MAPS: [&str; 3] = ["schema", "keys", "on"];

/// Looks at every value of a file.
pub fn scan(node: &Node, errors: &mut Diagnostics) {
    match &node.content {
        Content::List(items) => items.iter().for_each(|item| scan(item, errors)),
        Content::Map(entries) => {
            for (key, value) in entries.iter().filter(|(key, _)| !COLUMN_MAPS.contains(&key.text.as_str())) {
                if is_secret_field(&key.text) && value.spelling().is_some_and(|text| is_literal(&text)) {
                    refuse(&value.place, &format!("the value of `{}` is", shorten(&key.text)), errors);
                } else {
                    scan(value, errors);
                }
            }
        }
        Content::Text(text) if looks_secret(text) => refuse(&node.place, "this text holds", errors),
        _ => {}
    }
}

fn refuse(place: &Place, what: &str, errors: &mut Diagnostics) {
    let message = format!("{what} a password or key in plain text (not shown)");
    let hint = "definitions are shared and hashed: put it into the settings as `${NAME}`, an environment variable";
    errors.push(Diagnostic::new(place, "DEF-SECRET", message).hint(hint));
}

fn is_secret_field(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['.', '-'], "_");
    SECRET_FIELDS.contains(&name.as_str())
}

/// Whether a value is the thing itself: not empty, not a reference, not a column's type.
fn is_literal(text: &str) -> bool {
    let reference = text.starts_with("${") || text.starts_with("secret://");
    !text.is_empty() && !reference && !DataType::ALL.iter().any(|data_type| data_type.name() == text)
}

/// Credentials in a URL, `password=...`, a private key, or an access key id of a cloud.
fn looks_secret(text: &str) -> bool {
    has_url_credentials(text)
        || has_assignment(text)
        || text.contains("-----BEGIN") && text.contains("PRIVATE KEY-----")
        || has_access_key(text)
}

fn has_url_credentials(text: &str) -> bool {
    text.match_indices("://").any(|(start, mark)| {
        let authority = &text[start + mark.len()..];
        let end = authority.find(|c: char| c == '/' || c == '?' || c.is_whitespace()).unwrap_or(authority.len());
        let user = authority[..end].rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
        user.is_some_and(|(_, password)| is_literal(password))
    })
}

fn has_assignment(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["password=", "passwd=", "secret_access_key=", "api_key="].iter().any(|name| {
        lower.match_indices(name).any(|(start, _)| {
            let value = &lower[start + name.len()..];
            let end = value.find(|c: char| c.is_whitespace() || c == ';' || c == '&').unwrap_or(value.len());
            is_literal(&value[..end])
        })
    })
}

fn has_access_key(text: &str) -> bool {
    text.match_indices("AKIA").any(|(start, mark)| {
        let rest = text[start + mark.len()..].bytes().take(16);
        rest.clone().count() == 16 && rest.clone().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_columns_and_references() {
        for text in [
            "s3://me:hunter2@bucket/path",
            "host=db password=hunter2 user=me",
            "-----BEGIN RSA PRIVATE KEY-----\nabc",
            "see AKIAIOSFODNN7EXAMPLE",
        ] {
            assert!(looks_secret(text), "{text}");
        }
        for text in [
            "s3://bucket/a:b@c",
            "s3://me:${PASSWORD}@bucket/path",
            "password=${PASSWORD}",
            "password = 'x'",
            "amount > 0",
            "AKIA short",
            "the password column",
        ] {
            assert!(!looks_secret(text), "{text}");
        }
        assert!(is_secret_field("sasl.password") && is_secret_field("API-KEY") && !is_secret_field("token_count"));
    }
}
