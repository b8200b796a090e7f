//! JSON schema into GBNF through llama.cpp's converter, behind checks of what that converter can bear.
//!
//! It answers with a bare error number, and its regular expressions recurse for each character; so the schema is walked here first: the
//! walk names the path of what is wrong, and bounds size, depth and the length of names.

use std::{cell::Cell, cell::RefCell, collections::HashSet};

use serde_json::Value;

use super::GrammarError;

/// The largest schema, in bytes of JSON.
pub const MAX_SCHEMA_BYTES: usize = 128 << 10;
const MAX_DEPTH: usize = 32;
const MAX_PROPERTIES: usize = 256;
const MAX_OPTIONAL: usize = 64;
const MAX_NAME_BYTES: usize = 256;
const MAX_PATH_BYTES: usize = 2048;
const MAX_PATTERN_BYTES: usize = 1024;
const MAX_COUNT: u64 = 2000;
/// Most nodes that the converter makes: a list of types repeats all below it for each, optional properties cost their square.
const MAX_NODES: u64 = 50_000;
/// The converter's stack: its regular expressions recurse.
const STACK_BYTES: usize = 16 << 20;

/// The rules of a schema; the first is `root`.
///
/// # Errors
/// [`GrammarError::Schema`].
pub fn schema_rules(schema: &Value) -> Result<String, GrammarError> {
    let text = schema.to_string();
    if text.len() > MAX_SCHEMA_BYTES {
        return Err(GrammarError::schema(
            "#",
            format!("it has {} bytes, at most {MAX_SCHEMA_BYTES} are possible", text.len()),
            format!("共 {} 字节，最多 {MAX_SCHEMA_BYTES} 字节", text.len()),
        ));
    }
    if text.contains("\\u0000") {
        return Err(GrammarError::schema("#", "it holds a NUL character", "含有 NUL 字符"));
    }
    let walk = Walk { root: schema, seen: RefCell::default(), left: Cell::new(MAX_NODES) };
    walk.node(schema, &mut String::from("#"), 0, 1)?;
    let failed = || {
        GrammarError::schema(
            "#",
            "it can't be turned into a grammar: use fewer of its rarer keywords",
            "无法转换为语法：请少用不常见的关键字",
        )
    };
    let converted = std::thread::Builder::new()
        .name("schema".into())
        .stack_size(STACK_BYTES)
        .spawn(move || llama_cpp_2::json_schema_to_grammar(&text))
        .map_err(|_| failed())?
        .join()
        .map_err(|_| failed())?;
    converted.map_err(|_| failed())
}

struct Walk<'a> {
    root: &'a Value,
    /// References that were followed.
    seen: RefCell<HashSet<String>>,
    left: Cell<u64>,
}

impl Walk<'_> {
    fn spend(&self, path: &str, nodes: u64) -> Result<(), GrammarError> {
        self.left.set(self.left.get().checked_sub(nodes).ok_or_else(|| {
            GrammarError::schema(path, "the schema is too large up to here", "到此处为止 schema 过大")
        })?);
        Ok(())
    }

    /// `weight`: how often the converter makes this node.
    fn node(&self, schema: &Value, path: &mut String, depth: usize, weight: u64) -> Result<(), GrammarError> {
        self.spend(path, weight)?;
        let fail = |path: &str, en: &str, zh: &str| Err(GrammarError::schema(path, en, zh));
        let Some(map) = schema.as_object() else {
            return fail(path, "a schema is an object", "schema 必须是对象");
        };
        if depth > MAX_DEPTH || path.len() > MAX_PATH_BYTES {
            return fail(path, "it is nested too deep (at most 32 levels)", "嵌套过深（最多 32 层）");
        }
        if let Some(reference) = map.get("$ref") {
            return self.reference(reference, path);
        }
        match map.get("type") {
            None | Some(Value::String(_)) => {}
            Some(Value::Array(list)) if !list.is_empty() && list.iter().all(Value::is_string) => {}
            Some(_) => {
                return fail(path, "'type' is a text or a list of texts", "'type' 必须是文本或文本列表");
            }
        }
        let types: Vec<&str> = match map.get("type") {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => vec![text.as_str()],
            _ => Vec::new(),
        };
        const TYPES: [&str; 7] = ["object", "array", "string", "integer", "number", "boolean", "null"];
        if let Some(unknown) = types.iter().find(|t| !TYPES.contains(t)) {
            return fail(
                path,
                &format!("the type {unknown:?} does not exist"),
                &format!("不存在类型 {unknown:?}"),
            );
        }
        let weight = weight.saturating_mul(types.len().max(1) as u64);
        for key in ["anyOf", "oneOf", "allOf"] {
            if let Some(list) = map.get(key) {
                let Some(list) = list.as_array().filter(|list| !list.is_empty()) else {
                    return fail(
                        &format!("{path}/{key}"),
                        "a list of schemas is needed, not empty",
                        "需要非空的 schema 列表",
                    );
                };
                self.list(list, key, path, depth, weight)?;
            }
        }
        if map.get("enum").is_some_and(|e| e.as_array().is_none_or(Vec::is_empty)) {
            return fail(path, "'enum' is a list of values, not empty", "'enum' 必须是非空列表");
        }
        self.counts(map, path)?;
        self.object(map, path, depth, weight)?;
        for key in ["items", "prefixItems"] {
            match map.get(key) {
                Some(Value::Array(list)) => self.list(list, key, path, depth, weight)?,
                Some(Value::Bool(_)) => {
                    return fail(
                        &format!("{path}/{key}"),
                        "true and false are not supported here: give a schema",
                        "此处不支持 true/false：请给出 schema",
                    );
                }
                Some(item) => self.child(item, key, path, depth, weight)?,
                None => {}
            }
        }
        Ok(())
    }

    fn counts(&self, map: &serde_json::Map<String, Value>, path: &str) -> Result<(), GrammarError> {
        for key in ["minItems", "maxItems", "minLength", "maxLength"] {
            if let Some(value) = map.get(key) {
                // llama.cpp's converter opens a maximum over its limit; a minimum over it has no grammar.
                if value.as_u64().is_none_or(|n| n > MAX_COUNT) {
                    return Err(GrammarError::schema(
                        path,
                        format!("'{key}' is a whole number from 0 to {MAX_COUNT}"),
                        format!("'{key}' 必须是 0 到 {MAX_COUNT} 的整数"),
                    ));
                }
            }
        }
        for (low, high) in [("minItems", "maxItems"), ("minLength", "maxLength")] {
            let number = |key| map.get(key).and_then(Value::as_u64);
            if matches!((number(low), number(high)), (Some(low), Some(high)) if low > high) {
                return Err(GrammarError::schema(
                    path,
                    format!("'{low}' is over '{high}'"),
                    format!("'{low}' 大于 '{high}'"),
                ));
            }
        }
        for key in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
            let fits = |v: &Value| v.as_i64().is_some() || v.as_f64().is_some_and(|f| f.abs() < 9.0e15);
            if map.get(key).is_some_and(|v| !fits(v)) {
                return Err(GrammarError::schema(
                    path,
                    format!("'{key}' is a number that fits 64 bits"),
                    format!("'{key}' 必须是 64 位以内的数字"),
                ));
            }
        }
        for key in ["pattern", "format"] {
            if map.get(key).is_some_and(|v| v.as_str().is_none_or(|text| text.len() > MAX_PATTERN_BYTES)) {
                return Err(GrammarError::schema(
                    path,
                    format!("'{key}' is a text of at most {MAX_PATTERN_BYTES} bytes"),
                    format!("'{key}' 必须是不超过 {MAX_PATTERN_BYTES} 字节的文本"),
                ));
            }
        }
        Ok(())
    }

    fn object(
        &self,
        map: &serde_json::Map<String, Value>,
        path: &mut String,
        depth: usize,
        weight: u64,
    ) -> Result<(), GrammarError> {
        if let Some(properties) = map.get("properties") {
            let Some(properties) = properties.as_object() else {
                return Err(GrammarError::schema(
                    path,
                    "'properties' is an object",
                    "'properties' 必须是对象",
                ));
            };
            let required: Vec<&str> = map
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let optional = properties.keys().filter(|name| !required.contains(&name.as_str())).count();
            if properties.len() > MAX_PROPERTIES || optional > MAX_OPTIONAL {
                return Err(GrammarError::schema(
                    path,
                    format!(
                        "an object has at most {MAX_PROPERTIES} properties, {MAX_OPTIONAL} of them optional"
                    ),
                    format!("一个对象最多 {MAX_PROPERTIES} 个属性，其中可选的最多 {MAX_OPTIONAL} 个"),
                ));
            }
            self.spend(path, weight.saturating_mul((optional * optional / 2) as u64))?;
            for (name, property) in properties {
                if name.len() > MAX_NAME_BYTES {
                    return Err(GrammarError::schema(
                        path,
                        format!("a property's name has at most {MAX_NAME_BYTES} bytes"),
                        format!("属性名最长 {MAX_NAME_BYTES} 字节"),
                    ));
                }
                self.child(property, &format!("properties/{name}"), path, depth, weight)?;
            }
        }
        match map.get("additionalProperties") {
            None | Some(Value::Bool(_)) => Ok(()),
            Some(schema) => self.child(schema, "additionalProperties", path, depth, weight),
        }
    }

    fn list(
        &self,
        list: &[Value],
        key: &str,
        path: &mut String,
        depth: usize,
        weight: u64,
    ) -> Result<(), GrammarError> {
        for (i, item) in list.iter().enumerate() {
            self.child(item, &format!("{key}/{i}"), path, depth, weight)?;
        }
        Ok(())
    }

    fn child(
        &self,
        schema: &Value,
        step: &str,
        path: &mut String,
        depth: usize,
        weight: u64,
    ) -> Result<(), GrammarError> {
        let length = path.len();
        path.push('/');
        path.push_str(step);
        self.node(schema, path, depth + 1, weight)?;
        path.truncate(length);
        Ok(())
    }

    /// A reference is resolved once, as the converter does; what it leads to is walked where it is defined.
    fn reference(&self, reference: &Value, path: &str) -> Result<(), GrammarError> {
        let fail = |en: String, zh: String| Err(GrammarError::schema(path, en, zh));
        let Some(text) = reference.as_str() else {
            return fail("'$ref' is a text".into(), "'$ref' 必须是文本".into());
        };
        let Some(pointer) = text.strip_prefix("#/") else {
            return fail(
                format!("{text:?}: only references into the same schema (#/...) can be followed"),
                format!("{text:?}：只能引用同一 schema 内部（#/...）"),
            );
        };
        let mut target = self.root;
        for step in pointer.split('/') {
            let next = match target {
                Value::Object(map) => map.get(step),
                Value::Array(list) => step.parse::<usize>().ok().and_then(|i| list.get(i)),
                _ => None,
            };
            let Some(next) = next else {
                return fail(format!("{text:?} leads nowhere"), format!("{text:?} 指向不存在的位置"));
            };
            target = next;
        }
        // The walk does not come to definitions by itself; each is walked at its first reference.
        if self.seen.borrow_mut().insert(text.to_owned()) {
            self.node(target, &mut text.to_owned(), 0, 1)?;
        }
        Ok(())
    }
}
