//! C interface to the `tokenizers` library, declared in `whence_tokenizers.h`.

mod chat;
mod sentencepiece;

use std::any::Any;
use std::collections::HashSet;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;

use serde::Deserialize;
use tokenizers::{AddedToken, Decoder, Model, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer};

#[repr(i32)]
pub enum Status {
    Ok = 0,
    Input = 1,
    Failed = 2,
    Missing = 3,
}

enum Failure {
    Input(String),
    Failed(String),
    Missing,
}

impl<E: std::fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Failed(error.to_string())
    }
}

#[repr(C)]
pub struct Text {
    data: *mut u8,
    size: usize,
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        let bytes = text.into_bytes().into_boxed_slice();
        let size = bytes.len();
        let data = if size == 0 {
            std::ptr::null_mut()
        } else {
            Box::into_raw(bytes).cast()
        };
        Text { data, size }
    }
}

/// What the pointers of an `EncodingView` point into.
struct EncodingOwner {
    ids: Vec<u32>,
    offsets: Vec<u64>,
    special: Vec<u8>,
    tokens: String,
    token_ends: Vec<u64>,
}

#[repr(C)]
pub struct EncodingView {
    size: usize,
    ids: *const u32,
    offsets: *const u64,
    special: *const u8,
    tokens: *const u8,
    token_ends: *const u64,
    owner: *mut EncodingOwner,
}

#[derive(Deserialize)]
struct Template {
    bos: Option<String>,
    eos: Option<String>,
}

#[derive(Deserialize)]
struct Changes {
    added_tokens: Vec<AddedToken>,
    missing_tokens: Vec<AddedToken>,
    add_prefix_space: Option<bool>,
    template: Option<Template>,
}

/// Runs `work` behind a wall that no panic passes, and hands the text of a failure to `message`.
unsafe fn guarded(message: *mut Text, work: impl FnOnce() -> Result<(), Failure>) -> Status {
    static SILENCE: Once = Once::new();
    // The default hook prints to stderr, although the caller reports the failure itself. The hook is this library's own.
    SILENCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(Failure::Failed(format!(
            "the tokenizers library stopped: {}",
            panic_text(&*panic)
        )))
    });
    let (status, text) = match outcome {
        Ok(()) => return Status::Ok,
        Err(Failure::Missing) => return Status::Missing,
        Err(Failure::Input(text)) => (Status::Input, text),
        Err(Failure::Failed(text)) => (Status::Failed, text),
    };
    message.write(Text::from(text));
    status
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "unknown reason"
    }
}

/// `std::slice::from_raw_parts` that takes a null pointer for an empty slice.
unsafe fn slice<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if size == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, size)
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(bytes)
        .map_err(|error| Failure::Input(format!("byte {} is not valid UTF-8", error.valid_up_to())))
}

fn special_token(tokenizer: &Tokenizer, token: &str) -> Result<serde_json::Value, Failure> {
    let id = tokenizer
        .token_to_id(token)
        .ok_or_else(|| Failure::Failed(format!("the special token '{token}' is not in the vocabulary")))?;
    Ok(serde_json::json!({"id": token, "ids": [id], "tokens": [token]}))
}

/// Post-processor that puts BOS before and EOS after a text, each only where `template` names it.
fn post_processor(tokenizer: &Tokenizer, template: &Template) -> Result<PostProcessorWrapper, Failure> {
    let mut special_tokens = serde_json::Map::new();
    for token in template.bos.iter().chain(&template.eos) {
        special_tokens.insert(token.clone(), special_token(tokenizer, token)?);
    }
    let piece = |token: &String| serde_json::json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = |name: &str| serde_json::json!({"Sequence": {"id": name, "type_id": 0}});
    let around = |name: &str| {
        let mut pieces: Vec<_> = template.bos.iter().map(piece).collect();
        pieces.push(text(name));
        pieces.extend(template.eos.iter().map(piece));
        pieces
    };
    let pair = [around("A"), around("B")].concat();
    Ok(serde_json::from_value(serde_json::json!({
        "type": "TemplateProcessing",
        "single": around("A"),
        "pair": pair,
        "special_tokens": special_tokens,
    }))?)
}

/// The vocabulary entry of `id`. The library's own look-up gives a normalised added token in its normalised form.
fn entry(tokenizer: &Tokenizer, id: u32) -> Option<String> {
    let added = tokenizer.get_added_vocabulary().get_added_tokens_decoder().get(&id);
    added
        .map(|token| token.content.clone())
        .or_else(|| tokenizer.get_model().id_to_token(id))
}

/// Decodes from vocabulary entries, as the library did up to 0.22: since 0.23 it hands normalised forms to the decoder,
/// which changes the text, and does not recognise them as special.
fn decode(tokenizer: &Tokenizer, ids: &[u32], skip_special_tokens: bool) -> Result<String, Failure> {
    let mut tokens = Vec::with_capacity(ids.len());
    for &id in ids {
        let token =
            entry(tokenizer, id).ok_or_else(|| Failure::Input(format!("token id {id} is not in the vocabulary")))?;
        if !skip_special_tokens || !tokenizer.get_added_vocabulary().is_special_token(&token) {
            tokens.push(token);
        }
    }
    match tokenizer.get_decoder() {
        Some(decoder) => Ok(decoder.decode(tokens)?),
        None => Ok(tokens.join(" ")),
    }
}

fn create(json: &[u8], changes: &[u8]) -> Result<Tokenizer, Failure> {
    let changes: Changes = serde_json::from_slice(changes)?;
    let mut tokenizer = Tokenizer::from_bytes(json)?;
    tokenizer.with_truncation(None)?;
    tokenizer.with_padding(None);
    tokenizer.add_tokens(changes.added_tokens)?;
    let known: HashSet<String> = tokenizer
        .get_added_tokens_decoder()
        .into_values()
        .map(|token| token.content)
        .collect();
    tokenizer.add_tokens(
        changes
            .missing_tokens
            .into_iter()
            .filter(|token| !known.contains(&token.content)),
    )?;
    if let (Some(add), Some(PreTokenizerWrapper::ByteLevel(level))) =
        (changes.add_prefix_space, tokenizer.get_pre_tokenizer())
    {
        let mut level = *level;
        level.add_prefix_space = add;
        tokenizer.with_pre_tokenizer(Some(level));
    }
    if let Some(template) = changes.template {
        let processor = post_processor(&tokenizer, &template)?;
        tokenizer.with_post_processor(Some(processor));
    }
    Ok(tokenizer)
}

/// # Safety
/// `json` and `changes` hold as many bytes as their sizes say; `tokenizer` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn whence_tokenizer_create(
    json: *const u8,
    json_size: usize,
    changes: *const u8,
    changes_size: usize,
    tokenizer: *mut *mut Tokenizer,
    message: *mut Text,
) -> Status {
    guarded(message, || {
        let created = create(slice(json, json_size), slice(changes, changes_size))?;
        tokenizer.write(Box::into_raw(Box::new(created)));
        Ok(())
    })
}

/// # Safety
/// `tokenizer` came from `whence_tokenizer_create`, is not in use and is not used again. Null is allowed.
#[no_mangle]
pub unsafe extern "C" fn whence_tokenizer_free(tokenizer: *mut Tokenizer) {
    if !tokenizer.is_null() {
        drop(Box::from_raw(tokenizer));
    }
}

/// # Safety
/// `tokenizer` is alive, `text` holds `size` bytes, `encoding` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn whence_tokenizer_encode(
    tokenizer: *const Tokenizer,
    text: *const u8,
    size: usize,
    add_special_tokens: bool,
    encoding: *mut EncodingView,
    message: *mut Text,
) -> Status {
    guarded(message, || {
        let tokenizer = &*tokenizer;
        let encoded = tokenizer.encode_char_offsets(utf8(slice(text, size))?, add_special_tokens)?;
        let mut tokens = String::new();
        let mut token_ends = Vec::with_capacity(encoded.len());
        // Not the tokens of the encoding: a Unigram model puts the piece of text there for an unknown token.
        for &id in encoded.get_ids() {
            tokens.push_str(&entry(tokenizer, id).unwrap_or_default());
            token_ends.push(tokens.len() as u64);
        }
        let owner = Box::new(EncodingOwner {
            ids: encoded.get_ids().to_vec(),
            offsets: encoded
                .get_offsets()
                .iter()
                .flat_map(|&(start, end)| [start as u64, end as u64])
                .collect(),
            special: encoded
                .get_special_tokens_mask()
                .iter()
                .map(|&mark| mark as u8)
                .collect(),
            tokens,
            token_ends,
        });
        encoding.write(EncodingView {
            size: owner.ids.len(),
            ids: owner.ids.as_ptr(),
            offsets: owner.offsets.as_ptr(),
            special: owner.special.as_ptr(),
            tokens: owner.tokens.as_ptr(),
            token_ends: owner.token_ends.as_ptr(),
            owner: Box::into_raw(owner),
        });
        Ok(())
    })
}

/// # Safety
/// `tokenizer` is alive, `ids` holds `size` numbers, `text` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn whence_tokenizer_decode(
    tokenizer: *const Tokenizer,
    ids: *const u32,
    size: usize,
    skip_special_tokens: bool,
    text: *mut Text,
    message: *mut Text,
) -> Status {
    guarded(message, || {
        text.write(Text::from(decode(&*tokenizer, slice(ids, size), skip_special_tokens)?));
        Ok(())
    })
}

/// # Safety
/// `tokenizer` is alive, `token` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn whence_tokenizer_token(
    tokenizer: *const Tokenizer,
    id: u32,
    token: *mut Text,
    message: *mut Text,
) -> Status {
    guarded(message, || {
        let found = entry(&*tokenizer, id).ok_or(Failure::Missing)?;
        token.write(Text::from(found));
        Ok(())
    })
}

/// # Safety
/// `tokenizer` is alive, `token` holds `size` bytes, `id` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn whence_tokenizer_id(
    tokenizer: *const Tokenizer,
    token: *const u8,
    size: usize,
    id: *mut u32,
    message: *mut Text,
) -> Status {
    guarded(message, || {
        let token = std::str::from_utf8(slice(token, size)).map_err(|_| Failure::Missing)?;
        id.write((*tokenizer).token_to_id(token).ok_or(Failure::Missing)?);
        Ok(())
    })
}

/// # Safety
/// `tokenizer` is alive, `ids` has room for `capacity` numbers, `size` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn whence_tokenizer_special_ids(
    tokenizer: *const Tokenizer,
    ids: *mut u32,
    capacity: usize,
    size: *mut usize,
    message: *mut Text,
) -> Status {
    guarded(message, || {
        let mut special: Vec<u32> = (*tokenizer)
            .get_added_tokens_decoder()
            .into_iter()
            .filter_map(|(id, token)| token.special.then_some(id))
            .collect();
        special.sort_unstable();
        for (place, &id) in special.iter().take(capacity).enumerate() {
            ids.add(place).write(id);
        }
        size.write(special.len());
        Ok(())
    })
}

/// # Safety
/// `text` was filled by this library and is freed once.
#[no_mangle]
pub unsafe extern "C" fn whence_tokenizer_text_free(text: *mut Text) {
    let Text { data, size } = text.replace(Text {
        data: std::ptr::null_mut(),
        size: 0,
    });
    if !data.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(data, size)));
    }
}

/// # Safety
/// `encoding` was filled by this library and is freed once.
#[no_mangle]
pub unsafe extern "C" fn whence_tokenizer_encoding_free(encoding: *mut EncodingView) {
    if !(*encoding).owner.is_null() {
        drop(Box::from_raw((*encoding).owner));
        (*encoding).owner = std::ptr::null_mut();
    }
}
