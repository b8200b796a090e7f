//! Measures the registry with many models: list, filter and search, each as a person or the API asks for it.
//!
//! `cargo run --release -p rixin-models --example registry_bench -- [--json] [--models 100000] [--runs 30]`

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rixin_base::{Message, ModelId};
use rixin_models::{
    Licence, Manifest, MemoryNeed, ModelFile, ModelKind, ModelQuery, Origin, Registry, Sha256,
    registry::MANIFEST_FILE,
};

type Failure = Box<dyn std::error::Error>;

const GOAL_MS: f64 = 50.0;
const HOW: &str = "cargo run --release -p rixin-models --example registry_bench";

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let figure = |name: &str, default: u64| -> Result<u64, Failure> {
        match args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)) {
            Some(text) => Ok(text.parse()?),
            None => Ok(default),
        }
    };
    let json = args.iter().any(|arg| arg == "--json");
    let (models, runs) = (figure("--models", 100_000)?, figure("--runs", 30)?.max(20) as usize);
    tokio::runtime::Runtime::new()?.block_on(measure(models, runs, json))
}

async fn measure(models: u64, runs: usize, json: bool) -> Result<(), Failure> {
    let mut out = Out { json, models };
    let dir = tempfile::tempdir()?;
    let mut times = Vec::new();
    for run in 0..runs {
        let empty = dir.path().join(format!("empty{run}"));
        let start = Instant::now();
        let registry = Registry::open(&empty).await?;
        times.push(start.elapsed());
        drop(registry);
    }
    out.row("open an empty registry", times, Some(20.0));

    let data = dir.path().join("data");
    eprintln!("writing {models} manifests ...");
    write_manifests(&data, models)?;
    let start = Instant::now();
    let registry = Registry::open(&data).await?;
    out.row("make the index anew", vec![start.elapsed()], None);
    drop(registry);
    let mut times = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        let registry = Registry::open(&data).await?;
        times.push(start.elapsed());
        drop(registry);
    }
    out.row("open", times, None);

    let text = |text: &str| ModelQuery { text: Some(text.into()), ..ModelQuery::default() };
    let mut times = Vec::new();
    for _ in 0..runs {
        let registry = Registry::open(&data).await?;
        let start = Instant::now();
        registry.list(&text("千问")).await?;
        times.push(start.elapsed());
    }
    out.row("first search of a process", times, None);

    let registry = Registry::open(&data).await?;
    let deep = |query: &ModelQuery, id: String| ModelQuery { after: Some(id), ..query.clone() };
    let all = ModelQuery::default();
    let chat = ModelQuery { kind: Some(ModelKind::Chat), ..ModelQuery::default() };
    let both =
        ModelQuery { kind: Some(ModelKind::Lora), origin: Some(Origin::Trained), ..ModelQuery::default() };
    let middle = format!("0~{}", id(models / 2)?);
    let questions = [
        ("list, first page", all.clone()),
        ("list, a page in the middle", deep(&all, middle)),
        ("list, 500 a page", ModelQuery { limit: ModelQuery::MAX_LIMIT, ..all }),
        ("filter by kind", chat.clone()),
        ("filter by kind and origin", both),
        ("search a word that every model has", text("model")),
        ("search a rare word", text("no000777")),
        ("search nothing matches", text("zzzz")),
        ("search one letter", text("q")),
        ("search two Chinese characters", text("千问")),
        ("search one Chinese character", text("医")),
        ("search three words", text("qwen 中文 q4_k")),
        ("search and filter", ModelQuery { text: Some("千问".into()), ..chat }),
    ];
    for (name, query) in questions {
        registry.list(&query).await?;
        let mut times = Vec::with_capacity(runs);
        let mut total = 0;
        for _ in 0..runs {
            let start = Instant::now();
            total = registry.list(&query).await?.total;
            times.push(start.elapsed());
        }
        out.row(&format!("{name} ({total} of {models})"), times, Some(GOAL_MS));
    }
    let mut times = Vec::new();
    for run in 0..runs {
        let manifest = manifest(models + run as u64)?;
        let stage = registry.stage().await?;
        std::fs::write(stage.file(&manifest.main), CONTENT)?;
        let start = Instant::now();
        registry.install(stage, manifest, false).await?;
        times.push(start.elapsed());
    }
    out.row("install one more", times, None);
    Ok(())
}

struct Out {
    json: bool,
    models: u64,
}

impl Out {
    /// One line: the median, its spread, and whether the goal, in milliseconds, is met.
    fn row(&mut self, measure: &str, mut times: Vec<Duration>, goal: Option<f64>) {
        times.sort();
        let ms = |time: Option<&Duration>| time.map_or(0.0, |t| (t.as_secs_f64() * 1e6).round() / 1e3);
        let median = ms(times.get(times.len() / 2));
        let (least, most) = (ms(times.first()), ms(times.last()));
        let met = goal.map(|goal| median <= goal);
        if self.json {
            let line = serde_json::json!({
                "measure": format!("registry: {measure}"), "ours": median, "peer": null, "unit": "ms", "ratio": null,
                "goal": goal.map(|goal| format!("<= {goal}")), "met": met,
                "how": format!("{HOW} (median of {}, {least} to {most} ms, {} models)", times.len(), self.models),
            });
            println!("{line}");
        } else {
            let verdict = match (goal, met) {
                (Some(goal), Some(true)) => format!("<= {goal} ms: met"),
                (Some(goal), _) => format!("<= {goal} ms: MISSED"),
                _ => String::new(),
            };
            println!(
                "{measure:<60} {median:>9.3} ms  ({least:.3} to {most:.3}, {} runs)  {verdict}",
                times.len()
            );
        }
    }
}

const CONTENT: &[u8] = b"weights";
const FAMILIES: [(&str, &str); 6] = [
    ("qwen3", "通义千问系列，擅长中文对话与推理"),
    ("glm4", "智谱 GLM 系列，中英双语对话"),
    ("deepseek-r1-distill", "深度求索推理模型的蒸馏版本"),
    ("bge", "中文向量模型，用于检索增强"),
    ("medical-lora", "医疗问诊微调，基于通义千问"),
    ("llama3", "英文为主的通用对话模型"),
];
const FORMS: [&str; 5] = ["Q4_K_M", "Q8_0", "F16", "Q5_K_M", "Q6_K"];

fn id(number: u64) -> Result<ModelId, Failure> {
    let family = FAMILIES[(number % FAMILIES.len() as u64) as usize].0;
    Ok(format!("no{number:06}-{family}").parse()?)
}

fn manifest(number: u64) -> Result<Manifest, Failure> {
    let pick = |len: usize| (number % len as u64) as usize;
    let (family, zh) = FAMILIES[pick(FAMILIES.len())];
    let form = FORMS[pick(FORMS.len())];
    Ok(Manifest {
        version: Manifest::VERSION,
        id: id(number)?,
        name: format!("{family} No. {number}"),
        kind: ModelKind::ALL[pick(ModelKind::ALL.len())],
        architecture: Some(family.into()),
        files: vec![ModelFile {
            path: "model.gguf".parse()?,
            size: CONTENT.len() as u64,
            sha256: Sha256::of(CONTENT),
        }],
        main: "model.gguf".parse()?,
        source: format!("hf:org/{family}-{number}-GGUF:*{form}.gguf"),
        licence: Licence::spdx("Apache-2.0").ok_or("a known licence")?,
        licence_accepted: None,
        origin: Origin::ALL[(number / 7 % 3) as usize],
        base_model: Some(format!("org/{family}")),
        languages: vec!["zh".into(), "en".into()],
        context_length: Some(32768),
        parameters: Some(number + 1),
        quantisation: Some(form.into()),
        memory: Some(MemoryNeed::estimate(number + 1, 4.9)),
        chat_template: true,
        installed_at: 1_700_000_000 + number,
        tags: vec!["bench".into(), format!("batch{}", number / 1000)],
        description: Message::new(
            format!(
                "A model of the family {family}, number {number}, made to see how the list holds up with many."
            ),
            format!("{zh}，编号 {number}，用于衡量大量模型时列表的速度。"),
        ),
    })
}

/// Manifests as installs would leave them; the bench asks for no model's weights.
fn write_manifests(data: &Path, models: u64) -> Result<(), Failure> {
    for number in 0..models {
        let manifest = manifest(number)?;
        let folder = data.join("models").join(manifest.id.as_str());
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(MANIFEST_FILE), manifest.to_json())?;
    }
    Ok(())
}
