use serde_json::{Map, Value as Json, json};

use super::*;

macro_rules! templates {
    ($($name:literal),*) => {
        &[$(($name, include_str!(concat!("../../../../tests/reference/templates/", $name)))),*]
    };
}

const TEMPLATES: &[(&str, &str)] = templates![
    "alternating.jinja",
    "deepseek_r1.jinja",
    "glm4.jinja",
    "headers.jinja",
    "qwen3.jinja",
    "smollm2.jinja"
];

fn template(name: &str) -> ChatTemplate {
    let source = TEMPLATES.iter().find(|(known, _)| *known == name).expect("a template").1;
    ChatTemplate::new(source, "<s>", "</s>").expect("it compiles")
}

/// Made by `tests/reference/chat_template.py` with jinja2 as transformers sets it up.
#[test]
fn templates_render_as_jinja2_does() {
    let golden: Json =
        serde_json::from_str(include_str!("../../../../tests/reference/golden/chat_template.json"))
            .expect("golden");
    let now = golden["now"].as_str().expect("time").parse().expect("a time");
    let mut checked = 0;
    for entry in golden["templates"].as_array().expect("templates") {
        let name = entry["template"].as_str().expect("name");
        let template = template(name);
        for case in entry["cases"].as_array().expect("cases") {
            let conversation = &golden["conversations"][case["name"].as_str().expect("name")];
            let input = RenderInput {
                messages: conversation["messages"].as_array().expect("messages"),
                tools: conversation["tools"].as_array().map(Vec::as_slice),
                kwargs: case["kwargs"].as_object(),
                add_generation_prompt: case["name"] != "reasoning",
                now: Some(now),
            };
            let ours = template.render(&input);
            match case["output"].as_str() {
                Some(want) => assert_eq!(ours.as_deref(), Ok(want), "{name}: {}", case["name"]),
                None => assert!(ours.is_err(), "{name}: {}: {ours:?}", case["name"]),
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 60);
}

#[test]
fn trying_shows_what_templates_can_take() {
    let caps = |name| template(name).caps().clone();
    let smollm2 = caps("smollm2.jinja");
    assert!(smollm2.system && !smollm2.tools && !smollm2.tool_calls && !smollm2.tool_role && !smollm2.thinks);
    let qwen3 = caps("qwen3.jinja");
    assert!(qwen3.tools && qwen3.tool_calls && qwen3.tool_role && qwen3.object_arguments && qwen3.thinks);
    let r1 = caps("deepseek_r1.jinja");
    assert!(r1.tool_calls && !r1.object_arguments && r1.null_content && r1.thinks && !r1.tools);
    let glm = caps("glm4.jinja");
    assert!(glm.tools && glm.tool_calls && glm.object_arguments);
    let alternating = caps("alternating.jinja");
    assert!(alternating.alternates && alternating.short_ids && alternating.tools && alternating.system);
    assert!(!caps("headers.jinja").alternates);
}

#[test]
fn roles_that_a_template_lacks_are_fitted() {
    let none = Map::new();
    let call = Call { id: "call_0123456789".into(), name: "f".into(), arguments: "{\"a\": 1}".into() };
    let conversation = [
        Message::new("developer", "RULES"),
        Message::new("user", "one"),
        Message::new("user", "two"),
        Message { calls: vec![call], ..Message::new("assistant", "") },
        Message { call_id: Some("call_0123456789".into()), ..Message::new("tool", "RESULT") },
    ];
    for (name, _) in TEMPLATES {
        let prompt = template(name).prompt(&conversation, &[], &none).expect(name);
        for word in ["RULES", "one", "two", "\"a\"", "RESULT"] {
            let shown = prompt.contains(word) || (word == "\"a\"" && prompt.contains("<arg_key>a</arg_key>"));
            assert!(shown, "{name} lost {word}: {prompt}");
        }
        assert!(!prompt.contains("developer"), "{name}");
    }
    let prompt = template("smollm2.jinja").prompt(&conversation, &[], &none).expect("rendered");
    assert!(
        prompt.contains("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call><|im_end|>"),
        "{prompt}"
    );
    assert!(prompt.contains("<|im_start|>user\n<tool_response name=\"f\">\nRESULT"), "{prompt}");
}

#[test]
fn a_template_without_system_shows_its_words_to_the_user() {
    let source = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}\
                  [{{ m.role }}] {{ m.content }}\n{% endfor %}";
    let template = ChatTemplate::new(source, "", "").expect("it compiles");
    let messages = [Message::new("system", "S"), Message::new("user", "U")];
    assert_eq!(template.prompt(&messages, &[], &Map::new()), Ok("[user] S\n\nU\n".into()));
}

#[test]
fn faults_of_templates_are_told_apart() {
    let new = |source: &str| ChatTemplate::new(source, "", "");
    assert!(matches!(new("{% if %}"), Err(TemplateError::Syntax { .. })));
    assert!(matches!(new(&"x".repeat(MAX_TEMPLATE_BYTES + 1)), Err(TemplateError::TooLong { .. })));
    let render = |source: &str| {
        let messages = [json!({"role": "user", "content": "x"})];
        new(source)
            .expect("it compiles")
            .render(&RenderInput { messages: &messages, ..RenderInput::default() })
    };
    assert_eq!(
        render("{{ raise_exception('why not') }}"),
        Err(TemplateError::Refused { why: "why not".into() })
    );
    assert!(matches!(render("{{ messages + 1 }}"), Err(TemplateError::Failed { .. })));
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}x{% endfor %}{% endfor %}{% endfor %}";
    assert_eq!(render(endless), Err(TemplateError::TooMuch));
    assert_eq!(render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").map_err(|_| ()), Err(()));
    assert_eq!(render("a{%- generation %} b{% endgeneration -%} c"), Ok("a bc".into()));
}
