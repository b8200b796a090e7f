//! An S3 server in the test's process: signatures, multipart uploads, conditions, on files of a temporary folder.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rixin_store::{BlobOptions, Blobs, S3Options};
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;

pub const KEY: &str = "AKIDTEST";
pub const SECRET: &str = "not-to-be-shown";

/// Answers a request before the server sees it: a status and the code of S3's error.
pub type Refusal = Box<dyn Fn(&http::Request<Incoming>) -> Option<(u16, &'static str)> + Send + Sync>;

pub struct Server {
    pub address: SocketAddr,
    root: tempfile::TempDir,
    log: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub async fn start() -> Self {
        Self::serve(|builder| builder, Box::new(|_| None)).await
    }

    /// A server that refuses some requests.
    pub async fn refusing(refuse: Refusal) -> Self {
        Self::serve(|builder| builder, refuse).await
    }

    /// A server that takes `If-None-Match` and forgets it, as older ones do.
    pub async fn forgetful() -> Self {
        Self::serve(Forgetful, Box::new(|_| None)).await
    }

    async fn serve<T: S3>(wrap: impl FnOnce(FileSystem) -> T, refuse: Refusal) -> Self {
        let root = tempfile::tempdir().expect("temp dir");
        std::fs::create_dir(root.path().join("rixin")).expect("bucket");
        let mut builder = S3ServiceBuilder::new(wrap(FileSystem::new(root.path()).expect("opens")));
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let log = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(accept(listener, service, Arc::clone(&log), Arc::new(refuse)));
        Self { address, root, log, task }
    }

    pub fn options(&self) -> S3Options {
        let mut options = S3Options::new("s3://rixin/kept/here", KEY, SECRET);
        options.endpoint = Some(format!("http://{}", self.address));
        options.retries = 3;
        options
    }

    pub async fn open(&self) -> Blobs {
        Blobs::open(&BlobOptions::S3(self.options())).await.expect("opens")
    }

    /// Where the objects lie.
    pub fn folder(&self) -> PathBuf {
        self.root.path().join("rixin/kept/here")
    }

    /// Files of uploads that are neither complete nor aborted.
    pub fn parts(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.path()).expect("root");
        let names = entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(".upload")).collect()
    }

    /// The requests since the last call: method, path with query, and `If-None-Match` where it was sent.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().expect("no panic"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    service: S3Service,
    log: Arc<Mutex<Vec<String>>>,
    refuse: Arc<Refusal>,
) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (service, log, refuse) = (service.clone(), Arc::clone(&log), Arc::clone(&refuse));
        let answer = service_fn(move |request: http::Request<Incoming>| {
            let condition = request.headers().contains_key("if-none-match");
            let condition = if condition { " if-none-match" } else { "" };
            let target = request.uri().path_and_query().map_or("", |target| target.as_str());
            log.lock().expect("no panic").push(format!("{} {target}{condition}", request.method()));
            let refused = refuse(&request);
            let service = service.clone();
            async move {
                let Some((status, code)) = refused else {
                    return service.call(request.map(s3s::Body::from)).await;
                };
                let body =
                    format!("<Error><Code>{code}</Code><Message>refused by the test</Message></Error>");
                let mut response = http::Response::new(s3s::Body::from(body));
                *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
                Ok(response)
            }
        });
        connections.spawn(async move {
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // A client that went away in the middle is part of the tests.
            let _ = builder.serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

struct Forgetful(FileSystem);

/// Passes requests on; those of the second kind without their condition.
macro_rules! forgetful {
    (
        as they are { $($name:ident($input:ident) -> $output:ident;)* }
        without condition { $($put:ident($put_input:ident) -> $put_output:ident;)* }
    ) => {
        #[async_trait::async_trait]
        impl S3 for Forgetful {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                self.0.$name(request).await
            })*
            $(async fn $put(&self, mut request: S3Request<$put_input>) -> S3Result<S3Response<$put_output>> {
                request.input.if_none_match = None;
                self.0.$put(request).await
            })*
        }
    };
}

forgetful! {
    as they are {
    copy_object(CopyObjectInput) -> CopyObjectOutput;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    get_object(GetObjectInput) -> GetObjectOutput;
    head_object(HeadObjectInput) -> HeadObjectOutput;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
    upload_part(UploadPartInput) -> UploadPartOutput;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
    }
    without condition {
    put_object(PutObjectInput) -> PutObjectOutput;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
    }
}
