//! The owner thread: loads the model, makes the context, and runs it step by step until the last handle is gone.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread::JoinHandle,
};

use llama_cpp_2::{
    llama_backend::LlamaBackend,
    model::{LlamaModel, params::LlamaModelParams},
    token::LlamaToken,
};

use crate::{
    EngineOptions, Error, ModelInfo, Token,
    context::Context,
    embed::{EmbedJob, Embedder},
    llama::{backend, clear_errors, first_error, resident_bytes},
    options::Plan,
    running::Running,
    scheduler::Scheduler,
    shared::Shared,
};

/// What handles ask of the owner thread.
pub(crate) enum Command {
    Generate(Box<Running>),
    Embed(EmbedJob),
}

/// A loaded model with its thread.
pub(crate) struct Started {
    pub model: Arc<LlamaModel>,
    pub info: ModelInfo,
    pub plan: Plan,
    pub shared: Arc<Shared>,
    pub commands: mpsc::Sender<Command>,
    pub owner: JoinHandle<()>,
}

/// What the thread says while it loads.
enum Report {
    Progress(f32),
    Ready(Arc<LlamaModel>, Box<ModelInfo>, Plan),
    Failed(Error),
}

/// Starts the thread and waits until the model is loaded.
pub(crate) fn start(options: EngineOptions, mut progress: impl FnMut(f32) -> bool) -> Result<Started, Error> {
    check_file(&options.path)?;
    let failed = |why: String| Error::LoadFailed { path: options.path.clone(), why };
    let shared = Arc::new(Shared::default());
    let (commands, receiver) = mpsc::channel();
    let (reports, news) = mpsc::channel();
    let cancelled = Arc::new(AtomicBool::new(false));
    let owner = {
        let (options, shared, cancelled) = (options.clone(), Arc::clone(&shared), Arc::clone(&cancelled));
        std::thread::Builder::new()
            .name("rixin-engine".into())
            .spawn(move || own(&options, &shared, &receiver, &reports, cancelled))
            .map_err(|error| failed(error.to_string()))?
    };
    loop {
        match news.recv() {
            Ok(Report::Progress(fraction)) => {
                if !progress(fraction) {
                    cancelled.store(true, Relaxed);
                }
            }
            // The model was loaded before the thread heard of it; without its commands the thread ends.
            Ok(Report::Ready(..)) if cancelled.load(Relaxed) => return Err(Error::LoadCancelled),
            Ok(Report::Ready(model, info, plan)) => {
                return Ok(Started { model, info: *info, plan, shared, commands, owner });
            }
            Ok(Report::Failed(error)) => return Err(error),
            Err(_) => return Err(failed("the engine's thread ended".into())),
        }
    }
}

/// What can be said of a file before llama.cpp looks at it.
fn check_file(path: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::LoadFailed { path: path.into(), why: error.to_string() };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Error::BadModelFile { path: path.into(), why: "not a regular file".into() });
    }
    let mut magic = [0; 4];
    let read = std::io::Read::read_exact(&mut file, &mut magic);
    if read.is_err() || magic != *b"GGUF" {
        return Err(Error::BadModelFile { path: path.into(), why: "it does not begin with GGUF".into() });
    }
    Ok(())
}

/// The thread's life.
fn own(
    options: &EngineOptions,
    shared: &Arc<Shared>,
    commands: &mpsc::Receiver<Command>,
    reports: &mpsc::Sender<Report>,
    cancelled: Arc<AtomicBool>,
) {
    let before = resident_bytes();
    let fail = |error| drop(reports.send(Report::Failed(error)));
    let Some(backend) = backend() else {
        return fail(Error::LoadFailed {
            path: options.path.clone(),
            why: "llama.cpp is in use by another part of this process".into(),
        });
    };
    let model = match load(backend, options, reports.clone(), cancelled) {
        Ok(model) => Arc::new(model),
        Err(error) => return fail(error),
    };
    let states_cost = model.is_recurrent() || model.is_hybrid();
    let plan = Plan::new(options, model.n_ctx_train(), states_cost);
    let mut scheduler = None;
    if plan.generates {
        clear_errors();
        let Some(mut context) = Context::new(backend, &model, &plan) else {
            let why = first_error().unwrap_or_else(|| format!("no context of {} tokens", plan.cache_tokens));
            return fail(Error::LoadFailed { path: options.path.clone(), why });
        };
        warm_up(&mut context, &model);
        scheduler = Some(Scheduler::new(context, &model, plan, Arc::clone(shared)));
    }
    let embedder = Embedder::new(backend, &model, plan);
    let mut info = describe(&model, &plan, &options.path);
    info.memory_bytes = resident_bytes().saturating_sub(before).max(model.size());
    if reports.send(Report::Ready(Arc::clone(&model), Box::new(info), plan)).is_ok() {
        serve(scheduler, embedder, shared, commands);
    }
}

/// Computes one token and forgets it, so that the first request does not pay for llama.cpp's first step.
fn warm_up(context: &mut Context<'_>, model: &LlamaModel) {
    use crate::cache::Memory;
    let token = Token(model.vocab().bos().0.max(0) as u32);
    context.begin();
    context.add(token, 0, 0, true);
    if let Err(error) = context.compute() {
        tracing::warn!(?error, "the first step failed");
    }
    context.clear(0);
}

fn load(
    backend: &LlamaBackend,
    options: &EngineOptions,
    reports: mpsc::Sender<Report>,
    cancelled: Arc<AtomicBool>,
) -> Result<LlamaModel, Error> {
    clear_errors();
    let watch = Arc::clone(&cancelled);
    let params = LlamaModelParams::default().with_n_gpu_layers(options.gpu_layers).with_progress_callback(
        move |fraction| reports.send(Report::Progress(fraction)).is_ok() && !watch.load(Relaxed),
    );
    let path = options.path.clone();
    let model = LlamaModel::load_from_file(backend, &options.path, &params);
    if cancelled.load(Relaxed) {
        return Err(Error::LoadCancelled);
    }
    model.map_err(|error| {
        let why = first_error().unwrap_or_else(|| error.to_string());
        // llama.cpp gives no kinds of errors; those about memory and the system say so.
        let system =
            ["alloc", "out of memory", "mmap", "failed to open"].iter().any(|word| why.contains(word));
        if system { Error::LoadFailed { path, why } } else { Error::BadModelFile { path, why } }
    })
}

fn describe(model: &LlamaModel, plan: &Plan, path: &Path) -> ModelInfo {
    let vocab = model.vocab();
    let text = |token: LlamaToken| {
        // A model without such a token has -1 here.
        if token.0 < 0 {
            return String::new();
        }
        vocab.text(token).map_or_else(String::new, |text| text.to_string_lossy().into_owned())
    };
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    ModelInfo {
        name: model.meta_val_str("general.name").ok().filter(|name| !name.is_empty()).unwrap_or_else(stem),
        architecture: model.meta_val_str("general.architecture").unwrap_or_default(),
        context_length: plan.context_length,
        train_context_length: model.n_ctx_train(),
        vocab_size: model.n_vocab().max(0) as u32,
        embedding_size: model.n_embd().max(0) as u32,
        parameters: model.n_params(),
        chat_template: model.meta_val_str("tokenizer.chat_template").ok(),
        bos_text: text(vocab.bos()),
        eos_text: text(vocab.eos()),
        adds_bos: vocab.should_add_bos(),
        memory_bytes: 0,
        slots: plan.slots,
        cache_tokens: plan.cache_tokens,
        threads: plan.threads,
    }
}

/// Takes commands and runs steps until the handles are gone. Requests that are left see [`Error::Stopped`], because their channel closes.
fn serve(
    mut scheduler: Option<Scheduler<'_>>,
    mut embedder: Embedder<'_>,
    shared: &Shared,
    commands: &mpsc::Receiver<Command>,
) {
    let take = |scheduler: &mut Option<Scheduler<'_>>, embedder: &mut Embedder<'_>, command| match command {
        Command::Generate(running) => {
            if let Some(scheduler) = scheduler {
                scheduler.push(running);
            }
        }
        Command::Embed(job) => embedder.push(job),
    };
    while !shared.stopping.load(Relaxed) {
        let idle = embedder.is_idle() && scheduler.as_ref().is_none_or(Scheduler::is_idle);
        if idle {
            match commands.recv() {
                Ok(command) => take(&mut scheduler, &mut embedder, command),
                Err(_) => return,
            }
        }
        while let Ok(command) = commands.try_recv() {
            take(&mut scheduler, &mut embedder, command);
        }
        embedder.step();
        if let Some(scheduler) = &mut scheduler {
            scheduler.step();
        }
    }
}
