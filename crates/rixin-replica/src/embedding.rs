//! `/v1/embeddings`.

use axum::response::Response;
use base64::Engine as _;
use rixin_base::Fault;
use rixin_protocol::{
    embedding::{Embedding, EmbeddingRequest, EmbeddingResponse, EncodingFormat, Vector},
    parse::out_of_range,
    usage::Usage,
};

use crate::{completion::prompts, context::json_reply, server::App};

/// Answers a request.
///
/// # Errors
/// What the engine or the request's fields forbid.
pub(crate) async fn answer(app: &App, request: EmbeddingRequest) -> Result<Response, Fault> {
    request.check()?;
    app.check_model(&request.model)?;
    let size = app.engine.info().embedding_size;
    if let Some(asked) = request.dimensions.filter(|asked| *asked > size) {
        return Err(out_of_range(
            "dimensions",
            &format!("the model's vectors have {size} dimensions, {asked} are too many"),
            &format!("该模型的向量为 {size} 维，{asked} 过大"),
        ));
    }
    let inputs = prompts(app, &request.input, "input")?;
    let tokens = inputs.iter().map(|tokens| tokens.len() as u32).sum();
    let vectors = app.engine.embed(inputs).await?;
    let data = vectors.into_iter().zip(0..).map(|(vector, index)| Embedding {
        object: "embedding".into(),
        embedding: write(shorten(vector, request.dimensions), request.encoding_format),
        index,
    });
    Ok(json_reply(&EmbeddingResponse {
        object: "list".into(),
        data: data.collect(),
        model: app.spec.model.to_string(),
        usage: Usage { prompt_tokens: tokens, total_tokens: tokens, ..Usage::default() },
    }))
}

/// The first dimensions, of length 1 again.
fn shorten(mut vector: Vec<f32>, dimensions: Option<u32>) -> Vec<f32> {
    let Some(dimensions) = dimensions.map(|d| d as usize).filter(|d| *d < vector.len()) else {
        return vector;
    };
    vector.truncate(dimensions);
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        for x in &mut vector {
            *x = (f64::from(*x) / length) as f32;
        }
    }
    vector
}

fn write(vector: Vec<f32>, format: Option<EncodingFormat>) -> Vector {
    if format != Some(EncodingFormat::Base64) {
        return Vector::Floats(vector);
    }
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    Vector::Base64(base64::engine::general_purpose::STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_dimensions_have_length_one() {
        let vector = shorten(vec![3.0, 4.0, 12.0], Some(2));
        assert_eq!(vector, [0.6, 0.8]);
        assert_eq!(shorten(vec![1.0, 0.0], None), [1.0, 0.0]);
    }

    #[test]
    fn base64_is_little_endian() {
        let Vector::Base64(text) = write(vec![1.0], Some(EncodingFormat::Base64)) else { panic!("base64") };
        assert_eq!(text, "AACAPw==");
    }
}
