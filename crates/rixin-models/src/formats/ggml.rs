//! The number forms of ggml's tensors: how many weights a block has, and how many bytes.
//! Source: `ggml.h` and `ggml-common.h` of llama.cpp, as pinned in the workspace.

/// A form of tensor data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GgmlType {
    /// The number in a GGUF header.
    pub id: u32,
    /// The name.
    pub name: &'static str,
    /// Weights of a block.
    pub block: u64,
    /// Bytes of a block.
    pub bytes: u64,
}

const fn t(id: u32, name: &'static str, block: u64, bytes: u64) -> GgmlType {
    GgmlType { id, name, block, bytes }
}

/// Every form that the pinned llama.cpp reads.
pub const TYPES: &[GgmlType] = &[
    t(0, "F32", 1, 4),
    t(1, "F16", 1, 2),
    t(2, "Q4_0", 32, 18),
    t(3, "Q4_1", 32, 20),
    t(6, "Q5_0", 32, 22),
    t(7, "Q5_1", 32, 24),
    t(8, "Q8_0", 32, 34),
    t(9, "Q8_1", 32, 36),
    t(10, "Q2_K", 256, 84),
    t(11, "Q3_K", 256, 110),
    t(12, "Q4_K", 256, 144),
    t(13, "Q5_K", 256, 176),
    t(14, "Q6_K", 256, 210),
    t(15, "Q8_K", 256, 292),
    t(16, "IQ2_XXS", 256, 66),
    t(17, "IQ2_XS", 256, 74),
    t(18, "IQ3_XXS", 256, 98),
    t(19, "IQ1_S", 256, 50),
    t(20, "IQ4_NL", 32, 18),
    t(21, "IQ3_S", 256, 110),
    t(22, "IQ2_S", 256, 82),
    t(23, "IQ4_XS", 256, 136),
    t(24, "I8", 1, 1),
    t(25, "I16", 1, 2),
    t(26, "I32", 1, 4),
    t(27, "I64", 1, 8),
    t(28, "F64", 1, 8),
    t(29, "IQ1_M", 256, 56),
    t(30, "BF16", 1, 2),
    t(34, "TQ1_0", 256, 54),
    t(35, "TQ2_0", 256, 66),
    t(39, "MXFP4", 32, 17),
    t(40, "NVFP4", 64, 36),
    t(41, "Q1_0", 128, 18),
    t(42, "Q2_0", 64, 18),
];

/// The form of a number in a header.
pub fn by_id(id: u32) -> Option<GgmlType> {
    TYPES.iter().copied().find(|form| form.id == id)
}

/// The quantisation that `general.file_type` names (llama.cpp's `llama_ftype`).
pub fn file_type(id: u64) -> Option<&'static str> {
    Some(match id {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        7 => "Q8_0",
        8 => "Q5_0",
        9 => "Q5_1",
        10 => "Q2_K",
        11 => "Q3_K_S",
        12 => "Q3_K_M",
        13 => "Q3_K_L",
        14 => "Q4_K_S",
        15 => "Q4_K_M",
        16 => "Q5_K_S",
        17 => "Q5_K_M",
        18 => "Q6_K",
        19 => "IQ2_XXS",
        20 => "IQ2_XS",
        21 => "Q2_K_S",
        22 => "IQ3_XS",
        23 => "IQ3_XXS",
        24 => "IQ1_S",
        25 => "IQ4_NL",
        26 => "IQ3_S",
        27 => "IQ3_M",
        28 => "IQ2_S",
        29 => "IQ2_M",
        30 => "IQ4_XS",
        31 => "IQ1_M",
        32 => "BF16",
        36 => "TQ1_0",
        37 => "TQ2_0",
        38 => "MXFP4",
        39 => "NVFP4",
        40 => "Q1_0",
        41 => "Q2_0",
        _ => return None,
    })
}

/// Bits a weight of a whole file in a quantisation, for estimates: mixtures lie a little above their main form, because
/// embeddings and outputs are kept finer.
pub fn bits_per_weight(quantisation: &str) -> Option<f64> {
    let name = quantisation.to_ascii_uppercase();
    Some(match name.as_str() {
        "Q2_K" | "Q2_K_S" => 3.2,
        "Q3_K_S" => 3.7,
        "Q3_K_M" => 4.0,
        "Q3_K_L" => 4.3,
        "Q4_K_S" => 4.7,
        "Q4_K_M" | "UD-Q4_K_XL" => 4.9,
        "Q5_K_S" => 5.6,
        "Q5_K_M" => 5.7,
        "Q6_K" => 6.6,
        "IQ3_XS" => 3.5,
        "IQ3_M" => 3.8,
        "IQ2_M" => 2.9,
        "MXFP4" => 4.4,
        _ => {
            let form = TYPES.iter().find(|form| form.name == name)?;
            form.bytes as f64 * 8.0 / form.block as f64
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_are_distinct() {
        assert!(TYPES.windows(2).all(|pair| pair[0].id < pair[1].id));
        let names: std::collections::HashSet<_> = TYPES.iter().map(|form| form.name).collect();
        assert_eq!(names.len(), TYPES.len());
    }

    #[test]
    fn bits() {
        assert_eq!(bits_per_weight("q8_0"), Some(8.5));
        assert_eq!(bits_per_weight("F16"), Some(16.0));
        assert_eq!(bits_per_weight("?"), None);
    }
}
