//! XMP packets: the label is one simple property, `TC260:AIGC`. Source: XMP specification part 1 (ISO 16684-1); the namespace is that of GB 45438-2025's practice guide.

use quick_xml::{
    escape::escape,
    events::Event,
    name::{Namespace, ResolveResult},
    reader::NsReader,
};

use crate::{Error, Media, Result};

/// The namespace of the label.
pub(crate) const NAMESPACE: &str = "http://www.tc260.org.cn/ns/AIGC/1.0/";
const PROPERTY: &[u8] = b"AIGC";

fn is_label(resolved: &ResolveResult, local: &[u8]) -> bool {
    matches!(resolved, ResolveResult::Bound(Namespace(n)) if *n == NAMESPACE.as_bytes()) && local == PROPERTY
}

/// The label's value, as an element or as an attribute of `rdf:Description`. What is no XML has none.
pub(crate) fn find_label(packet: &[u8]) -> Option<String> {
    let mut reader = NsReader::from_reader(packet);
    let mut text: Option<String> = None;
    loop {
        let (resolved, event) = reader.read_resolved_event().ok()?;
        match event {
            Event::Start(element) | Event::Empty(element) => {
                if is_label(&resolved, element.local_name().as_ref()) {
                    text = Some(String::new());
                    continue;
                }
                for attribute in element.attributes().flatten() {
                    let (resolved, local) = reader.resolver().resolve_attribute(attribute.key);
                    if is_label(&resolved, local.as_ref()) {
                        let raw = std::str::from_utf8(&attribute.value).ok()?;
                        return quick_xml::escape::unescape(raw).ok().map(|t| t.into_owned());
                    }
                }
            }
            Event::Text(part) => {
                if let Some(text) = &mut text {
                    text.push_str(&part.decode().ok()?);
                }
            }
            Event::GeneralRef(part) => {
                if let Some(text) = &mut text {
                    let name = part.decode().ok()?;
                    let whole = format!("&{name};");
                    text.push_str(&quick_xml::escape::unescape(&whole).ok()?);
                }
            }
            Event::CData(part) => {
                if let Some(text) = &mut text {
                    text.push_str(std::str::from_utf8(&part).ok()?);
                }
            }
            Event::End(element) if is_label(&resolved, element.local_name().as_ref()) => return text,
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// A packet with the label: a new one, or the old one with one more `rdf:Description`.
pub(crate) fn with_label(media: Media, old: Option<&[u8]>, value: &str) -> Result<Vec<u8>> {
    let description = format!(
        "<rdf:Description rdf:about=\"\" xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" \
         xmlns:TC260=\"{NAMESPACE}\"><TC260:AIGC>{}</TC260:AIGC></rdf:Description>",
        escape(value)
    );
    let Some(old) = old else {
        return Ok(format!(
            "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?><x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\
             <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">{description}</rdf:RDF>\
             </x:xmpmeta><?xpacket end=\"r\"?>"
        )
        .into_bytes());
    };
    if find_label(old).is_some() {
        return Err(Error::media(
            media,
            "it carries a label already: a label is written once",
            "文件已有标识：标识只写一次",
        ));
    }
    let end = b"</rdf:RDF>";
    let Some(place) = old.windows(end.len()).rposition(|w| w == end) else {
        return Err(Error::media(
            media,
            "its XMP has no rdf:RDF element to put the label into",
            "其 XMP 中没有可写入标识的 rdf:RDF 元素",
        ));
    };
    let mut out = Vec::with_capacity(old.len() + description.len());
    out.extend_from_slice(&old[..place]);
    out.extend_from_slice(description.as_bytes());
    out.extend_from_slice(&old[place..]);
    if find_label(&out).as_deref() != Some(value) {
        return Err(Error::media(media, "its XMP is damaged", "其 XMP 已损坏"));
    }
    Ok(out)
}
