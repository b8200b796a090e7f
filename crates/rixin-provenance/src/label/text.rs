//! Labels of text: the words in it, the header of an HTTP answer, the property of a document.

use super::{AigcLabel, LabelText};

/// The words that stand at the head or the end of a generated text.
pub fn text_label(text: LabelText) -> String {
    match text {
        LabelText::Zh => "（AI生成）".to_owned(),
        LabelText::En => "(AI-generated)".to_owned(),
        LabelText::Both => "（AI生成 / AI-generated）".to_owned(),
    }
}

/// Name and value of a header of an HTTP answer that carries generated text. The name is this project's choice.
pub fn text_header(label: &AigcLabel) -> (&'static str, String) {
    ("x-aigc-label", label.to_json())
}

/// Name and value of a custom document property (`docProps/custom.xml` of OOXML, the information dictionary of PDF, front matter).
pub fn text_document_property(label: &AigcLabel) -> (&'static str, String) {
    ("AIGC", label.to_json())
}
