//! Labels: written where readers look for them, drawn as tall as the standard wants, beside what was there before.

mod common;

use std::io::Cursor;

use common::{Instance, encoded, examples, lineage, mp3, mp4, picture, request, wav};
use image::{DynamicImage, GenericImageView, ImageFormat};
use rixin_provenance::{
    AigcLabel, AigcMark, Corner, Error, ExplicitLabel, LabelPolicy, LabelText, Media, audio_rhythm,
    draw_label, read_label, text_header, write_label,
};

fn label() -> AigcLabel {
    AigcLabel::first(AigcMark::Generated, "001191440300MA5FYBFG1P10002", "id-1").expect("a label")
}

#[test]
fn the_label_has_the_seven_elements() {
    let expected = r#"{"Label":"1","ContentProducer":"001191440300MA5FYBFG1P10002","ProduceID":"id-1","ReservedCode1":"","ContentPropagator":"001191440300MA5FYBFG1P10002","PropagateID":"id-1","ReservedCode2":""}"#;
    assert_eq!(label().to_json(), expected);
    assert_eq!(AigcLabel::from_json(expected), Some(label()));
    // As other writers have it: under a key, and with a number.
    let nested = format!(r#"{{"AIGC": {}}}"#, expected.replace(r#""Label":"1""#, r#""Label":1"#));
    assert_eq!(AigcLabel::from_json(&nested), Some(label()));
    for bad in ["", "有限公司", "a\"b", "a\\b", "a b"] {
        assert!(
            matches!(AigcLabel::first(AigcMark::Generated, bad, "x"), Err(Error::BadLabel { .. })),
            "{bad}"
        );
    }
    assert_eq!(text_header(&label()), ("x-aigc-label", expected.to_owned()));
}

#[test]
fn every_carrier_gives_the_label_back() {
    for (media, bytes) in examples() {
        if !media.embeds() {
            assert!(matches!(write_label(media, &bytes, &label()), Err(Error::Unsupported { .. })));
            continue;
        }
        assert_eq!(read_label(media, &bytes).expect("read"), None);
        let labelled = write_label(media, &bytes, &label()).expect("labelled");
        assert_eq!(read_label(media, &labelled).expect("read"), Some(label()), "{media:?}");
        assert!(write_label(media, &labelled, &label()).is_err(), "{media:?}: a label is written once");
        if matches!(media, Media::Png | Media::Jpeg | Media::Webp) {
            let before = image::load_from_memory(&bytes).expect("a picture");
            assert_eq!(image::load_from_memory(&labelled).expect("a picture"), before, "{media:?}");
        }
    }
}

#[test]
fn a_packet_that_was_there_is_kept() {
    let packet = br#"<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/png"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"#;
    let png = encoded(ImageFormat::Png);
    let mut data = b"iTXtXML:com.adobe.xmp\0\0\0\0\0".to_vec();
    data.extend_from_slice(packet);
    let mut chunk = (data.len() as u32 - 4).to_be_bytes().to_vec();
    chunk.extend_from_slice(&data);
    chunk.extend_from_slice(&crc32fast::hash(&data).to_be_bytes());
    let with = [&png[..33], &chunk, &png[33..]].concat();
    let labelled = write_label(Media::Png, &with, &label()).expect("labelled");
    assert_eq!(read_label(Media::Png, &labelled).expect("read"), Some(label()));
    let text = String::from_utf8_lossy(&labelled);
    assert!(text.contains(r#"dc:format="image/png""#));
    assert_eq!(text.matches("XML:com.adobe.xmp").count(), 1);
    assert!(image::load_from_memory(&labelled).is_ok());
    // As an attribute, and by another prefix.
    let attribute = String::from_utf8(packet.to_vec()).expect("text").replace(
        "dc:format=\"image/png\"",
        "xmlns:q=\"http://www.tc260.org.cn/ns/AIGC/1.0/\" q:AIGC=\"{&quot;Label&quot;:&quot;2&quot;,&quot;ContentProducer&quot;:&quot;p&quot;,&quot;ProduceID&quot;:&quot;i&quot;}\"",
    );
    let head = [b"\xff\xd8".as_slice(), b"\xff\xe1"].concat();
    let body = [b"http://ns.adobe.com/xap/1.0/\0".as_slice(), attribute.as_bytes()].concat();
    let jpeg = encoded(ImageFormat::Jpeg);
    let jpeg = [&head, &(body.len() as u16 + 2).to_be_bytes()[..], &body, &jpeg[2..]].concat();
    let found = read_label(Media::Jpeg, &jpeg).expect("read").expect("a label");
    assert_eq!((found.label, found.content_producer.as_str()), (AigcMark::Possibly, "p"));
}

#[test]
fn the_index_of_a_video_still_points_at_its_data() {
    for index_first in [true, false] {
        let labelled = write_label(Media::Mp4, &mp4(index_first), &label()).expect("labelled");
        assert_eq!(common::chunk(&labelled, 0), b"chunk-one");
        assert_eq!(common::chunk(&labelled, 1), b"chunk-two");
    }
}

#[test]
fn a_tag_that_was_there_is_kept() {
    // ID3v2.3 and v2.4 with one title.
    for version in [3u8, 4] {
        let mut tag = vec![b'I', b'D', b'3', version, 0, 0, 0, 0, 0, 25];
        tag.extend_from_slice(b"TIT2\0\0\0\x05\0\0\0song");
        tag.extend_from_slice(&[0; 10]);
        tag.extend_from_slice(&mp3());
        let labelled = write_label(Media::Mp3, &tag, &label()).expect("labelled");
        assert_eq!(read_label(Media::Mp3, &labelled).expect("read"), Some(label()));
        assert!(labelled.windows(4).any(|w| w == b"song"));
        assert!(labelled.ends_with(&mp3()));
    }
}

/// The bright pixels' height: how tall the words are.
fn tall(picture: &DynamicImage) -> u32 {
    let bright =
        |y: u32| (0..picture.width()).any(|x| picture.get_pixel(x, y).0[..3].iter().all(|v| *v > 200));
    let rows: Vec<u32> = (0..picture.height()).filter(|y| bright(*y)).collect();
    rows.last().map_or(0, |last| last - rows[0] + 1)
}

#[test]
fn the_drawn_label_is_tall_enough_and_stays_in_its_corner() {
    for (width, height) in [(1024u32, 1024u32), (640, 360), (360, 1280), (300, 300)] {
        for text in [LabelText::Zh, LabelText::En, LabelText::Both] {
            for corner in [Corner::TopLeft, Corner::TopRight, Corner::BottomLeft, Corner::BottomRight] {
                let mut pixels = vec![90u8; (width * height * 3) as usize];
                let label = ExplicitLabel { text, corner, whole_video: false };
                draw_label(&mut pixels, width, height, 3, &label).expect("drawn");
                let picture = image::RgbImage::from_raw(width, height, pixels).expect("a picture");
                let words = tall(&DynamicImage::ImageRgb8(picture.clone()));
                let least = width.min(height) as f32 * 0.05;
                assert!(words as f32 >= least, "{words} of {least} at {width}x{height} {text:?}");
                let changed = |x: u32, y: u32| picture.get_pixel(x, y).0 != [90; 3];
                let (left, top) = match corner {
                    Corner::TopLeft => (true, true),
                    Corner::TopRight => (false, true),
                    Corner::BottomLeft => (true, false),
                    Corner::BottomRight => (false, false),
                };
                let gap = width.min(height) / 50 + 1;
                assert!(changed(
                    if left { gap } else { width - gap - 1 },
                    if top { gap } else { height - gap - 1 }
                ));
                let far = (0..height / 3).any(|y| {
                    let y = if top { height - 1 - y } else { y };
                    (0..width).any(|x| changed(x, y))
                });
                assert!(!far, "the label stays in its corner");
            }
        }
    }
    assert!(draw_label(&mut [0; 10], 4, 4, 3, &ExplicitLabel::default()).is_err());
}

#[test]
fn pictures_get_the_visible_label_when_they_are_sealed() {
    let instance = Instance::new();
    let lineage = lineage("drawn");
    for (media, format) in
        [(Media::Png, ImageFormat::Png), (Media::Jpeg, ImageFormat::Jpeg), (Media::Webp, ImageFormat::WebP)]
    {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(picture(320, 240)).write_to(&mut bytes, format).expect("encoded");
        let mut request = request(media, &lineage);
        request.label = LabelPolicy { explicit: Some(ExplicitLabel::default()), ..LabelPolicy::default() };
        let before = image::load_from_memory(bytes.get_ref()).expect("a picture");
        let sealed = instance.signer.seal(&request, bytes.into_inner()).expect("sealed");
        let after = image::load_from_memory(&sealed.bytes).expect("a picture");
        assert_ne!(before.get_pixel(300, 225), after.get_pixel(300, 225), "{media:?}");
        if media != Media::Jpeg {
            assert_eq!(before.get_pixel(10, 10), after.get_pixel(10, 10), "{media:?}");
        }
        let report = instance.verifier().verify(common::source(&sealed.bytes), None).expect("read");
        assert_eq!(report.verdict, rixin_provenance::Verdict::Valid);
    }
}

#[test]
fn the_rhythm_is_short_long_short_short() {
    let samples = audio_rhythm(8000);
    // Runs of sound and silence, in units of 90 ms.
    let loud: Vec<bool> = samples.chunks(80).map(|c| c.iter().any(|s| s.abs() > 0.05)).collect();
    let mut runs: Vec<(bool, usize)> = Vec::new();
    for one in loud {
        match runs.last_mut() {
            Some((kind, n)) if *kind == one => *n += 1,
            _ => runs.push((one, 1)),
        }
    }
    let units: Vec<(bool, usize)> = runs.into_iter().map(|(kind, n)| (kind, (n + 4) / 9)).collect();
    let [a, i] =
        [[(true, 1), (false, 1), (true, 3), (false, 3)], [(true, 1), (false, 1), (true, 1), (false, 5)]];
    assert_eq!(units, [a, i].concat());
    let instance = Instance::new();
    let lineage = lineage("heard");
    let mut heard = request(Media::Wav, &lineage);
    heard.label.explicit = Some(ExplicitLabel::default());
    let sealed = instance.signer.seal(&heard, wav()).expect("sealed");
    let find = |bytes: &[u8]| bytes.windows(4).position(|w| w == b"data").expect("data") + 4;
    let length = |bytes: &[u8]| {
        let at = find(bytes);
        u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four")) as usize
    };
    assert_eq!(length(&sealed.bytes), length(&wav()) + samples.len() * 2);
    let (old, new) = (wav(), &sealed.bytes);
    let start = find(new) + 4 + samples.len() * 2;
    assert_eq!(new[start..start + 200], old[find(&old) + 4..find(&old) + 204]);
    let mut spoken = request(Media::Mp3, &lineage);
    spoken.label.explicit = Some(ExplicitLabel::default());
    assert!(matches!(instance.signer.seal(&spoken, mp3()), Err(Error::Unsupported { .. })));
}
