//! Reads the protobuf of a sentencepiece model: the fields that make a description for the `tokenizers` library.

use prost::Message;

use crate::{guarded, slice, Failure, Status, Text};

#[derive(Message)]
struct Model {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<Trainer>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<Normalizer>,
}

#[derive(Message)]
struct Piece {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Message)]
struct Trainer {
    #[prost(int32, optional, tag = "3")]
    model_type: Option<i32>,
    #[prost(int32, optional, tag = "40")]
    unk_id: Option<i32>,
    #[prost(string, optional, tag = "45")]
    unk_piece: Option<String>,
}

#[derive(Message)]
struct Normalizer {
    #[prost(bytes = "vec", optional, tag = "2")]
    charsmap: Option<Vec<u8>>,
}

/// Checks that a search in a precompiled normalisation map stays inside it: a size, a double-array trie of that many
/// bytes, and the texts that its values point to, each ending in a zero byte. Libraries search without looking.
fn check_charsmap(map: &[u8]) -> Result<(), Failure> {
    let damaged = |what: &str| Err(Failure::Failed(format!("its normalisation map is damaged: {what}")));
    if map.is_empty() {
        return Ok(());
    }
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if map.len() < 4 {
        return damaged("it is cut off");
    }
    let size = word(map, 0) as usize;
    if size == 0 || size % 4 != 0 || map.len() - 4 < size {
        return damaged("its trie has a wrong size");
    }
    let (trie, texts) = map[4..].split_at(size);
    if texts.last() != Some(&0) {
        return damaged("its texts do not end");
    }
    let units: Vec<u32> = (0..size / 4).map(|at| word(trie, 4 * at)).collect();
    let children = |at: usize| at ^ (units[at] >> 10 << ((units[at] & (1 << 9)) >> 6)) as usize;
    let mut seen = vec![false; units.len()];
    let mut open = vec![0];
    while let Some(at) = open.pop() {
        let base = children(at);
        if base | 0xFF >= units.len() {
            return damaged("its trie leads outside");
        }
        if units[at] & (1 << 8) != 0 && (units[base] & !(1 << 31)) as usize >= texts.len() {
            return damaged("a value points outside of its texts");
        }
        for byte in 1..=255 {
            let child = base ^ byte;
            if units[child] & (1 << 31 | 0xFF) == byte as u32 && !std::mem::replace(&mut seen[child], true) {
                open.push(child);
            }
        }
    }
    Ok(())
}

/// Absent fields have the defaults of sentencepiece_model.proto.
fn describe(bytes: &[u8]) -> Result<String, Failure> {
    let model = Model::decode(bytes)?;
    let trainer = model.trainer.unwrap_or_default();
    let charsmap = model
        .normalizer
        .and_then(|normalizer| normalizer.charsmap)
        .unwrap_or_default();
    check_charsmap(&charsmap)?;
    let pieces: Vec<_> = model
        .pieces
        .into_iter()
        .map(|piece| {
            serde_json::json!([
                piece.text.unwrap_or_default(),
                piece.score.unwrap_or_default(),
                piece.kind.unwrap_or(1)
            ])
        })
        .collect();
    Ok(serde_json::json!({
        "type": trainer.model_type.unwrap_or(1),
        "unknown_id": trainer.unk_id.unwrap_or(0),
        "unknown_piece": trainer.unk_piece.unwrap_or_else(|| "<unk>".to_string()),
        "charsmap": base64::encode(charsmap),
        "pieces": pieces,
    })
    .to_string())
}

/// # Safety
/// `model` holds `size` bytes, `description` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn whence_sentencepiece_describe(
    model: *const u8,
    size: usize,
    description: *mut Text,
    message: *mut Text,
) -> Status {
    guarded(message, || {
        description.write(Text::from(describe(slice(model, size))?));
        Ok(())
    })
}

/// # Safety
/// `map` holds `size` bytes, `text` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn whence_sentencepiece_charsmap(
    map: *const u8,
    size: usize,
    text: *mut Text,
    message: *mut Text,
) -> Status {
    guarded(message, || {
        let map = slice(map, size);
        check_charsmap(map)?;
        text.write(Text::from(base64::encode(map)));
        Ok(())
    })
}
