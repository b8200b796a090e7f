//! Bodies into types, with errors that name the field.

use rixin_base::{Code, Fault};
use serde::de::DeserializeOwned;

/// Parses a JSON body. Depth is limited to serde_json's 128 levels.
///
/// # Errors
/// [`Code::InvalidJson`] for what is not JSON; [`Code::MissingField`] or [`Code::InvalidValue`] with `param` for what does not fit `T`.
pub fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        return Err(Fault::new(
            Code::InvalidJson,
            format!("the body is not valid UTF-8 at byte {at}: send JSON encoded as UTF-8"),
            format!("请求体在第 {at} 字节处不是有效的 UTF-8：请以 UTF-8 编码发送 JSON"),
        ));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        // A body that is no JSON may first look like one with a wrong type: "[[[[" where an object is due.
        if error.inner().is_data()
            && let Err(broken) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes)
        {
            return syntax(&broken);
        }
        let fault = fault(&error);
        match (fault.code, &fault.param) {
            (Code::InvalidValue, None) => {
                culprit::<T>(bytes, &fault).map_or(fault, |field| name_field(&error, field))
            }
            _ => fault,
        }
    })?;
    json.end().map_err(|error| syntax(&error))?;
    Ok(value)
}

fn syntax(error: &serde_json::Error) -> Fault {
    Fault::new(
        Code::InvalidJson,
        format!("the body is not valid JSON: {error}"),
        format!("请求体不是有效的 JSON：{error}"),
    )
}

/// serde loses the path of a field inside a flattened struct. This finds it again: the top-level field without which the
/// error goes away. Only for bodies of a size at which trying each field is cheap.
fn culprit<T: DeserializeOwned>(bytes: &[u8], fault: &Fault) -> Option<String> {
    const MAX_BYTES: usize = 256 << 10;
    const MAX_FIELDS: usize = 64;
    if bytes.len() > MAX_BYTES {
        return None;
    }
    let all: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes).ok()?;
    if all.len() > MAX_FIELDS {
        return None;
    }
    all.keys().find_map(|key| {
        let mut rest = all.clone();
        rest.remove(key);
        let gone = match serde_json::from_value::<T>(rest.into()) {
            Ok(_) => true,
            Err(error) => {
                !fault.message.en.ends_with(&why(&error)) && !error.to_string().starts_with("missing field")
            }
        };
        gone.then(|| key.clone())
    })
}

fn name_field(error: &serde_path_to_error::Error<serde_json::Error>, field: String) -> Fault {
    let why = why(error.inner());
    Fault::new(Code::InvalidValue, format!("'{field}' is wrong: {why}"), format!("'{field}' 有误：{why}"))
        .with_param(field)
}

/// serde_json's sentence without its "at line ...".
fn why(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

fn fault(error: &serde_path_to_error::Error<serde_json::Error>) -> Fault {
    let inner = error.inner();
    if !inner.is_data() {
        return syntax(inner);
    }
    let path = error.path().to_string();
    let why = why(inner);
    if let Some(field) = why.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        let param = if path == "." { field.to_owned() } else { format!("{path}.{field}") };
        return Fault::new(
            Code::MissingField,
            format!("the field '{param}' is missing"),
            format!("缺少字段 '{param}'"),
        )
        .with_param(param);
    }
    let param = if path == "." { None } else { Some(path) };
    let name = param.as_deref().unwrap_or("body");
    let mut fault =
        Fault::new(Code::InvalidValue, format!("'{name}' is wrong: {why}"), format!("'{name}' 有误：{why}"));
    fault.param = param;
    fault
}

/// A fault about a value out of range.
pub fn out_of_range(param: &str, en: &str, zh: &str) -> Fault {
    Fault::new(Code::InvalidValue, format!("'{param}' is wrong: {en}"), format!("'{param}' 有误：{zh}"))
        .with_param(param)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ChatRequest;

    #[test]
    fn errors_name_the_field() {
        let bad = body::<ChatRequest>(
            br#"{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":"hot"}"#,
        );
        assert_eq!(bad.expect_err("type").param.as_deref(), Some("temperature"));
        let bad = body::<ChatRequest>(br#"{"model":"m"}"#).expect_err("missing");
        assert_eq!((bad.code, bad.param.as_deref()), (Code::MissingField, Some("messages")));
        assert_eq!(body::<ChatRequest>(b"{").expect_err("syntax").code, Code::InvalidJson);
        assert_eq!(body::<ChatRequest>(b"\xff").expect_err("utf-8").code, Code::InvalidJson);
        let deep = "[".repeat(100_000);
        assert_eq!(body::<ChatRequest>(deep.as_bytes()).expect_err("deep").code, Code::InvalidJson);
        assert_eq!(body::<ChatRequest>(b"[]").expect_err("a list").code, Code::InvalidValue);
        assert_eq!(body::<serde_json::Value>(deep.as_bytes()).expect_err("deep").code, Code::InvalidJson);
    }
}
