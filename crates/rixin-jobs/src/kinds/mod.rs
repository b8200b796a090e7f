//! The table of kinds. A new studio adds a file here and a line to the table.

pub(crate) mod batch;
pub(crate) mod import;

use crate::kind::{Kind, checked};

/// Every kind.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "import",
        about: ("Bring a model into the registry", "将模型导入模型库"),
        open: true,
        admin: true,
        check: checked::<import::ImportParams>,
    },
    Kind {
        name: "batch",
        about: ("Answer the requests of a file", "批量处理文件中的请求"),
        open: false,
        admin: false,
        check: checked::<batch::BatchParams>,
    },
];
