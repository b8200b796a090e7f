//! `rixin openapi`.

use clap::Args;

use crate::{
    context::Context,
    out::{Done, Exit},
};

/// Flags of `rixin openapi`.
#[derive(Args, Debug)]
pub struct Openapi {}

impl Openapi {
    /// Prints the document.
    pub fn run(&self, context: &Context) -> Done {
        // The document ends its last line itself.
        context.out.line(rixin_api::openapi_json().trim_end());
        Ok(Exit::Ok)
    }
}
