//! Chat templates, in Jinja as the transformers library runs it.

use std::fmt::Write;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};
use serde::Deserialize;

use crate::{guarded, slice, Failure, Status, Text};

/// Instructions of the template engine, far more than any real template and chat take: some seconds.
const MOST_FUEL: u64 = 50_000_000;
const DEEPEST_CALLS: usize = 64;
/// Bytes that a template may write, the parts that it only keeps in variables included.
const MOST_TEXT: usize = 64 << 20;

/// Text up to a size.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_TEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Deserialize)]
struct Request {
    template: String,
    variables: serde_json::Map<String, serde_json::Value>,
    now: String,
}

/// The tags around what an assistant writes are made by an extension of the transformers library and show nothing.
fn without_generation_tags(template: &str) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find("{%") {
        let Some(size) = rest[start..].find("%}") else { break };
        let tag = &rest[start..start + size];
        let word = tag[2..].trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace());
        text.push_str(&rest[..start]);
        match word {
            "generation" => text.push_str(&tag.replacen(word, "if true", 1)),
            "endgeneration" => text.push_str(&tag.replacen(word, "endif", 1)),
            _ => text.push_str(tag),
        }
        rest = &rest[start + size..];
    }
    text + rest
}

struct Style {
    indent: Option<usize>,
    item: String,
    key: String,
    sorted: bool,
}

/// As json.dumps of Python with ensure_ascii=False.
fn dump(value: &serde_json::Value, style: &Style, depth: usize, out: &mut String) {
    let new_line = |depth: usize, out: &mut String| {
        if let Some(indent) = style.indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent * depth));
        }
    };
    match value {
        serde_json::Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                out.push_str(if place > 0 { &style.item } else { "" });
                new_line(depth + 1, out);
                dump(item, style, depth + 1, out);
            }
            new_line(depth, out);
            out.push(']');
        }
        serde_json::Value::Object(map) if !map.is_empty() => {
            let mut members: Vec<_> = map.iter().collect();
            if style.sorted {
                members.sort_by_key(|member| member.0);
            }
            out.push('{');
            for (place, (key, member)) in members.into_iter().enumerate() {
                out.push_str(if place > 0 { &style.item } else { "" });
                new_line(depth + 1, out);
                out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                out.push_str(&style.key);
                dump(member, style, depth + 1, out);
            }
            new_line(depth, out);
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn tojson(value: Value, options: Kwargs) -> Result<Value, Error> {
    options.get::<Option<bool>>("ensure_ascii")?;
    let indent: Option<usize> = options.get("indent")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    let sorted = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    options.assert_all_used()?;
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.clone(), key.clone()),
        _ if indent.is_some() => (",".into(), ": ".into()),
        _ => (", ".into(), ": ".into()),
    };
    let json =
        serde_json::to_value(&value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    let mut text = String::new();
    dump(
        &json,
        &Style {
            indent,
            item,
            key,
            sorted,
        },
        0,
        &mut text,
    );
    Ok(Value::from_safe_string(text))
}

fn text_of(error: &Error) -> String {
    let place = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    if error.kind() == ErrorKind::OutOfFuel {
        return format!("{place}it does not come to an end");
    }
    if error.kind() == ErrorKind::WriteFailure {
        return format!("{place}it writes more than {} MiB", MOST_TEXT >> 20);
    }
    match error.detail() {
        Some(detail) => format!("{place}{}: {detail}", error.kind()),
        None => format!("{place}{}", error.kind()),
    }
}

fn render(request: &[u8]) -> Result<String, Failure> {
    let request: Request = serde_json::from_slice(request)?;
    let now = chrono::NaiveDateTime::parse_from_str(&request.now, "%Y-%m-%dT%H:%M:%S")?;
    let raised = Arc::new(Mutex::new(None));
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_recursion_limit(DEEPEST_CALLS);
    environment.set_fuel(Some(MOST_FUEL));
    let written = AtomicUsize::new(0);
    environment.set_formatter(move |out, state, value| {
        let size = value.as_str().map_or(0, str::len);
        if written.fetch_add(size, Ordering::Relaxed) + size > MOST_TEXT {
            return Err(ErrorKind::WriteFailure.into());
        }
        minijinja::escape_formatter(out, state, value)
    });
    environment.add_filter("tojson", tojson);
    environment.add_function("strftime_now", move |format: String| {
        let mut text = String::new();
        write!(text, "{}", now.format(&format)).map_err(|_| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!("'{format}' is no format of a date"),
            )
        })?;
        Ok::<_, Error>(text)
    });
    let said = raised.clone();
    environment.add_function("raise_exception", move |text: String| -> Result<Value, Error> {
        *said.lock().unwrap() = Some(text.clone());
        Err(Error::new(ErrorKind::InvalidOperation, text))
    });
    let template = without_generation_tags(&request.template);
    environment
        .add_template("chat_template", &template)
        .map_err(|error| Failure::Failed(text_of(&error)))?;
    let mut text = Bounded(Vec::new());
    environment
        .get_template("chat_template")
        .and_then(|template| {
            template
                .render_captured_to(Value::from_serialize(&request.variables), &mut text)
                .map(drop)
        })
        .map_err(|error| match raised.lock().unwrap().take() {
            Some(text) => Failure::Input(text),
            None => Failure::Failed(text_of(&error)),
        })?;
    Ok(String::from_utf8(text.0)?)
}

/// # Safety
/// `request` holds `size` bytes, `text` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn whence_chat_render(
    request: *const u8,
    size: usize,
    text: *mut Text,
    message: *mut Text,
) -> Status {
    guarded(message, || {
        text.write(Text::from(render(slice(request, size))?));
        Ok(())
    })
}
