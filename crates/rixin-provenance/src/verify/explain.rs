//! The words of a report, in both languages.

use rixin_base::Message;

use super::{Change, ChangedPart, Report, Verdict};
use crate::AigcMark;

/// A change with its words.
pub(super) fn change(part: ChangedPart, code: Option<&str>, place: Option<&str>) -> Change {
    let (en, zh) = match part {
        ChangedPart::Content => (
            "the content or its metadata is not what was signed".to_owned(),
            "内容或其元数据与签名时不一致".to_owned(),
        ),
        ChangedPart::Statement => {
            // The last part of `self#jumbf=.../c2pa.assertions/NAME`.
            let name = place.and_then(|p| p.rsplit('/').next()).unwrap_or("?");
            (
                format!("the statement {name} is not what was signed"),
                format!("凭证中的 {name} 与签名时不一致"),
            )
        }
        ChangedPart::Signature => {
            ("the signature does not fit the claim".to_owned(), "签名与声明不符".to_owned())
        }
        ChangedPart::Envelope => (
            "bytes around the credentials were changed (padding, headers, checksums or the time stamp)"
                .to_owned(),
            "凭证周围的字节被改动过（填充、头部、校验和或时间戳）".to_owned(),
        ),
        ChangedPart::Input => (
            "the credentials of something that it was made from do not hold".to_owned(),
            "其所用素材的凭证无法通过验证".to_owned(),
        ),
        ChangedPart::Structure => (
            "the file holds credentials, but can no longer be read as what it was".to_owned(),
            "文件中有凭证，但已无法按原来的格式读取".to_owned(),
        ),
    };
    Change { part, code: code.map(str::to_owned), text: Message::new(en, zh) }
}

/// What the whole report means.
pub(super) fn report(report: &Report) -> Message {
    let signer = report.signer.as_ref();
    let name = signer.map_or("?", |s| s.organisation.as_deref().unwrap_or(&s.name));
    let (mut en, mut zh) = match report.verdict {
        Verdict::Valid => {
            (format!("Signed by {name}, and not changed since."), format!("由 {name} 签名，此后未被改动。"))
        }
        Verdict::Changed => {
            let list_en: Vec<_> = report.changes.iter().map(|c| c.text.en.as_str()).collect();
            let list_zh: Vec<_> = report.changes.iter().map(|c| c.text.zh.as_str()).collect();
            (
                format!(
                    "Changed after it was signed: {}. What its credentials say can't be relied on.",
                    list_en.join("; ")
                ),
                format!("签名后被改动过：{}。其凭证所述内容不可采信。", list_zh.join("；")),
            )
        }
        Verdict::UnknownSigner => (
            format!(
                "Not changed since it was signed, but nobody here vouches for the signer ({name}): add their root certificate to the anchors if you know them."
            ),
            format!(
                "签名后未被改动，但签名者（{name}）不在信任名单中：如果你认识对方，请把其根证书加入信任锚。"
            ),
        ),
        Verdict::Revoked => (
            format!("The certificate of {name} was declared void: a signature by it proves nothing."),
            format!("{name} 的证书已被吊销：其签名不能证明任何事情。"),
        ),
        Verdict::Expired => (
            format!(
                "The certificate of {name} has run out, and no trusted time stamp shows that the signature is older."
            ),
            format!("{name} 的证书已过期，且没有可信的时间戳证明签名早于过期时间。"),
        ),
        Verdict::NotSigned => (
            "The file carries no credentials: nothing is known of where it came from.".to_owned(),
            "文件没有内容凭证：无法得知其来源。".to_owned(),
        ),
        Verdict::MetadataStripped => match &report.known_as {
            Some(id) => (
                format!(
                    "The file carries no credentials, but its content is that of {id}, which was signed here: they were taken away on its way."
                ),
                format!("文件没有内容凭证，但内容与本机签名过的 {id} 一致：凭证在流转中被去除。"),
            ),
            None => (
                "The file carries this instance's label but no credentials: they were taken away on its way."
                    .to_owned(),
                "文件带有本机的标识，却没有内容凭证：凭证在流转中被去除。".to_owned(),
            ),
        },
    };
    if let Some(label) = &report.label {
        let (add_en, add_zh) = match label.label {
            AigcMark::Generated => (" It is labelled as AI-generated.", "文件标明为人工智能生成。"),
            AigcMark::Possibly => {
                (" It is labelled as possibly AI-generated.", "文件标明为可能由人工智能生成。")
            }
            AigcMark::Suspected => {
                (" It is labelled as suspected to be AI-generated.", "文件标明为疑似人工智能生成。")
            }
        };
        en.push_str(add_en);
        zh.push_str(add_zh);
    }
    Message::new(en, zh)
}
