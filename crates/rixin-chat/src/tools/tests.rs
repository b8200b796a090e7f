use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::template::{ChatTemplate, Message};

const QWEN3: &str = include_str!("../../../../tests/reference/templates/qwen3.jinja");
const R1: &str = include_str!("../../../../tests/reference/templates/deepseek_r1.jinja");
const GLM: &str = include_str!("../../../../tests/reference/templates/glm4.jinja");
const SMOLLM2: &str = include_str!("../../../../tests/reference/templates/smollm2.jinja");

/// What a text comes to.
#[derive(Debug, Default, PartialEq)]
struct Read {
    content: String,
    reasoning: String,
    calls: Vec<(String, String)>,
}

fn options(format: Format) -> ParserOptions {
    ParserOptions {
        format: Some(format),
        functions: vec![("get".into(), vec!["city".into()]), ("ping".into(), Vec::new())],
        reasoning: true,
        ..ParserOptions::default()
    }
}

fn read(options: &ParserOptions, pieces: &[&str]) -> Read {
    let mut parser = Parser::new(options.clone());
    let mut out = Read::default();
    let mut deltas: Vec<Delta> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
    deltas.extend(parser.finish());
    for delta in deltas {
        match delta {
            Delta::Content(text) => out.content.push_str(&text),
            Delta::Reasoning(text) => out.reasoning.push_str(&text),
            Delta::CallStart { index, name } => {
                assert_eq!(index as usize, out.calls.len());
                out.calls.push((name, String::new()));
            }
            Delta::CallArguments { index, text } => out.calls[index as usize].1.push_str(&text),
        }
    }
    out
}

fn calls(format: Format, text: &str) -> Vec<(String, Json)> {
    let read = read(&options(format), &[text]);
    read.calls.into_iter().map(|(name, text)| (name, serde_json::from_str(&text).expect("JSON"))).collect()
}

const HERMES: &str = "<think>\nhm </thin\n</think>\n\nI look. \n<tool_call>\n{\"name\": \"get\", \"arguments\": {\"city\": \"北京 \\\"<\", \"n\": [1, {\"a\": 2}]}}\n</tool_call>\n<tool_call>\n{\"arguments\": {}, \"name\": \"ping\"}\n</tool_call>\n done";
const DEEPSEEK: &str = "x<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get\n```json\n{\"city\": \"a\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>ping\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>";
const GLM_TEXT: &str = "ok\n<tool_call>get\n<arg_key>city</arg_key>\n<arg_value>12</arg_value>\n<arg_key>n</arg_key>\n<arg_value>[1, 2]</arg_value>\n</tool_call>\n<tool_call>ping\n</tool_call>";
const QWEN_XML: &str = "<tool_call>\n<function=get>\n<parameter=city>\n北 京\n</parameter>\n<parameter=n>\n3\n</parameter>\n</function>\n</tool_call>";
const MISTRAL: &str = "[TOOL_CALLS] [{\"name\": \"get\", \"arguments\": {\"city\": \"]\"}, \"id\": \"abcdefghi\"}, {\"name\": \"ping\", \"arguments\": \"{}\"}]";
const MISTRAL_ARGS: &str = "[TOOL_CALLS]get[CALL_ID]abc[ARGS]{\"city\": \"x\"}[TOOL_CALLS]ping[ARGS]{}";
const LLAMA: &str =
    "{\"name\": \"get\", \"parameters\": {\"city\": \"x\"}}; {\"name\": \"ping\", \"parameters\": {}}";

#[test]
fn hermes() {
    let read = read(&options(Format::Hermes), &[HERMES]);
    assert_eq!(read.reasoning, "hm </thin");
    assert_eq!(read.content, "I look.done");
    assert_eq!(read.calls[0], ("get".into(), "{\"city\": \"北京 \\\"<\", \"n\": [1, {\"a\": 2}]}".into()));
    assert_eq!(read.calls[1], ("ping".into(), "{}".into()));
}

#[test]
fn the_other_forms() {
    let city = |value: Json| ("get".to_owned(), json!({"city": value}));
    let ping = || ("ping".to_owned(), json!({}));
    assert_eq!(calls(Format::DeepSeek, DEEPSEEK), [city("a".into()), ping()]);
    let v31 = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get<｜tool▁sep｜>{\"city\": \"a\"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>";
    assert_eq!(calls(Format::DeepSeek31, v31), [city("a".into())]);
    assert_eq!(calls(Format::Glm, GLM_TEXT), [("get".into(), json!({"city": "12", "n": [1, 2]})), ping()]);
    assert_eq!(calls(Format::QwenXml, QWEN_XML), [("get".into(), json!({"city": "北 京", "n": 3}))]);
    assert_eq!(calls(Format::Mistral, MISTRAL), [city("]".into()), ping()]);
    assert_eq!(calls(Format::MistralArgs, MISTRAL_ARGS), [city("x".into()), ping()]);
    assert_eq!(calls(Format::Llama3, LLAMA), [city("x".into()), ping()]);
    assert_eq!(calls(Format::Llama3, &format!("<|python_tag|>{LLAMA}")).len(), 2);
    assert_eq!(calls(Format::Generic, "{\"name\": \"ping\", \"arguments\": {}}"), [ping()]);
}

#[test]
fn what_is_no_call_stays_content() {
    for format in
        [Format::Hermes, Format::Generic, Format::Llama3, Format::Mistral, Format::DeepSeek, Format::Glm]
    {
        for text in [
            "{\"name\": \"unknown\", \"arguments\": {}}",
            "a < b <tool",
            "{\"a\": 1} and more",
            "[1, 2]",
            "  x  ",
        ] {
            let read = read(&options(format), &[text]);
            assert_eq!((read.content.as_str(), read.calls.len()), (text, 0), "{format:?}");
        }
    }
    let read1 = read(&options(Format::Hermes), &["a <tool_call>not json</tool_call>"]);
    assert_eq!((read1.content.as_str(), read1.calls.len()), ("a<tool_call>not json</tool_call>", 0));
    let none = ParserOptions::default();
    assert_eq!(read(&none, &[HERMES]).content, HERMES, "without tools no text is a call");
}

#[test]
fn arguments_come_in_pieces_and_a_cut_answer_keeps_them() {
    let mut parser = Parser::new(options(Format::Hermes));
    let first = parser.push("<tool_call>\n{\"name\": \"get\", \"arguments\": {\"ci");
    assert_eq!(
        first,
        [
            Delta::CallStart { index: 0, name: "get".into() },
            Delta::CallArguments { index: 0, text: "{\"ci".into() }
        ]
    );
    assert_eq!(parser.push("ty\":"), [Delta::CallArguments { index: 0, text: "ty\":".into() }]);
    assert_eq!(parser.finish(), []);
    let single = ParserOptions { single: true, ..options(Format::Hermes) };
    assert_eq!(read(&single, &[HERMES]).calls.len(), 1);
}

#[test]
fn thinking_that_the_prompt_began() {
    let options = ParserOptions { reasoning: true, in_reasoning: true, ..ParserOptions::default() };
    let read1 = read(&options, &["\nfirst ", "second\n</th", "ink>\n\n", " Answer <think>"]);
    assert_eq!((read1.reasoning.as_str(), read1.content.as_str()), ("first second", "Answer <think>"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pieces_do_not_matter(which in 0usize..9, cuts in prop::collection::vec(0usize..400, 0..12), noise in "[<>\\[\\]{}\":a \n]{0,12}") {
        let all = [
            (Format::Hermes, HERMES), (Format::Generic, HERMES), (Format::DeepSeek, DEEPSEEK), (Format::Glm, GLM_TEXT),
            (Format::QwenXml, QWEN_XML), (Format::Mistral, MISTRAL), (Format::MistralArgs, MISTRAL_ARGS), (Format::Llama3, LLAMA),
            (Format::Hermes, "<tool_call>{\"name\": \"get\", \"arguments\": {\"a\": ]}</tool_call> x"),
        ];
        let (format, text) = all[which];
        let text = match cuts.first() {
            // Noise somewhere in the middle.
            Some(at) if !noise.is_empty() => {
                let mut at = at % (text.len() + 1);
                while !text.is_char_boundary(at) { at -= 1; }
                format!("{}{noise}{}", &text[..at], &text[at..])
            }
            _ => text.to_owned(),
        };
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).filter(|at| text.is_char_boundary(*at)).collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        let pieces: Vec<&str> = places.windows(2).map(|w| &text[w[0]..w[1]]).collect();
        prop_assert_eq!(read(&options(format), &pieces), read(&options(format), &[&text]));
    }
}

fn specs() -> Vec<ToolSpec> {
    let parameters = json!({"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string", "maxLength": 9}, "unit": {"enum": ["c", "f"]}, "place": {"$ref": "#/$defs/p"}},
        "$defs": {"p": {"type": "integer"}}});
    vec![
        ToolSpec { name: "get".into(), description: Some("d".into()), parameters: Some(parameters) },
        ToolSpec { name: "ping".into(), description: None, parameters: None },
    ]
}

/// The grammar of each form takes its calls, and the parser reads them.
#[test]
fn grammars_and_parsers_agree() {
    let forms = [
        (
            QWEN3,
            Format::Hermes,
            "<tool_call>\n{\"name\": \"get\", \"arguments\": {\"city\": \"x\", \"place\": 3}}\n</tool_call>",
        ),
        (
            GLM,
            Format::Glm,
            "<tool_call>get\n<arg_key>city</arg_key>\n<arg_value>x</arg_value>\n<arg_key>place</arg_key>\n<arg_value>3</arg_value>\n</tool_call>",
        ),
        (
            SMOLLM2,
            Format::Generic,
            "<tool_call>\n{\"name\": \"get\", \"arguments\": {\"city\": \"x\", \"place\": 3}}\n</tool_call>",
        ),
        (
            "{{ tools }} [TOOL_CALLS]",
            Format::Mistral,
            "[TOOL_CALLS][{\"name\": \"get\", \"arguments\": {\"city\": \"x\", \"place\": 3}, \"id\": \"abcdefghi\"}]",
        ),
        (
            "{{ tools }} [TOOL_CALLS][ARGS]",
            Format::MistralArgs,
            "[TOOL_CALLS]get[ARGS]{\"city\": \"x\", \"place\": 3}",
        ),
        (
            "{{ tools }} <|python_tag|>",
            Format::Llama3,
            "{\"name\": \"get\", \"parameters\": {\"city\": \"x\", \"place\": 3}}",
        ),
        (
            "{{ tools }} <｜tool▁calls▁begin｜>```json",
            Format::DeepSeek,
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get\n```json\n{\"city\": \"x\", \"place\": 3}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        ),
        (
            "{{ tools }} <｜tool▁calls▁begin｜>",
            Format::DeepSeek31,
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get<｜tool▁sep｜>{\"city\": \"x\", \"place\": 3}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        ),
        (
            "{{ tools }} <function= <parameter=",
            Format::QwenXml,
            "<tool_call>\n<function=get>\n<parameter=city>\nx\n</parameter>\n<parameter=place>\n3\n</parameter>\n</function>\n</tool_call>",
        ),
    ];
    for (source, format, text) in forms {
        let template = ChatTemplate::new(source, "", "").expect("it compiles");
        let required = plan(&template, specs(), Choice::Required, true);
        let grammar = required.grammar("").expect("a grammar").expect("one");
        assert_eq!(grammar.matches(text), Ok(true), "{format:?}\n{}", grammar.source());
        assert_eq!(grammar.matches("Sorry"), Ok(false));
        assert_eq!(calls(format, text), [("get".into(), json!({"city": "x", "place": 3}))], "{format:?}");
        let named = plan(&template, specs(), Choice::Function("ping".into()), false);
        assert_eq!(named.grammar("").expect("a grammar").expect("one").matches(text), Ok(false));
        let auto = plan(&template, specs(), Choice::Auto, true).grammar("").expect("a grammar").expect("one");
        assert!(!auto.triggers().is_empty() && auto.matches(text) == Ok(true));
        assert!(plan(&template, specs(), Choice::None, true).grammar("").expect("none").is_none());
    }
}

#[test]
fn a_model_thinks_first() {
    let template = ChatTemplate::new(R1, "", "").expect("it compiles");
    let prompt = template.prompt(&[Message::new("user", "x")], &[], &Map::new()).expect("rendered");
    assert!(in_reasoning(&prompt));
    let required = plan(&template, specs(), Choice::Required, true);
    assert!(required.parser(&prompt).in_reasoning);
    let grammar = required.grammar(&prompt).expect("a grammar").expect("one");
    let text = "I think < hm.</think>\n\n<tool_call>\n{\"name\": \"ping\", \"arguments\": {}}\n</tool_call>";
    assert_eq!(grammar.matches(text), Ok(true));
    let answer = schema_after_thinking(&json!({"type": "integer"}), true, &prompt).expect("a grammar");
    assert_eq!((answer.matches("so</think>\n12"), answer.matches("12")), (Ok(true), Ok(false)));
}

#[test]
fn tools_stand_in_the_system_prompt_where_the_template_lacks_them() {
    let template = ChatTemplate::new(SMOLLM2, "", "").expect("it compiles");
    let plan = plan(&template, specs(), Choice::Auto, true);
    assert!(plan.shown.is_empty() && !plan.special);
    for before in [vec![], vec![Message::new("system", "Be kind.")]] {
        let mut messages = before;
        messages.push(Message::new("user", "weather?"));
        plan.add_note(&mut messages);
        let prompt = template.prompt(&messages, &plan.shown, &Map::new()).expect("rendered");
        assert!(prompt.contains("\"name\":\"get\"") && prompt.contains("<tool_call>"), "{prompt}");
        assert_eq!(prompt.matches("<|im_start|>system").count(), 1);
    }
}

#[test]
fn ids() {
    assert!(new_id(false).starts_with("call_"));
    assert!(new_id(true).len() == 9 && new_id(true).bytes().all(|b| b.is_ascii_alphanumeric()));
}
