#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "whence/export.h"
#include "whence/value.h"

namespace whence {

/// Where a checkpoint holds a chat template.
struct ChatTemplateSource {
  std::string name;   ///< "default", or what the checkpoint calls it
  std::string place;  ///< file and key
};

struct ChatRequest {
  std::string
      template_name;  ///< one of the checkpoint's; empty: the one for tools where there are tools, else "default"
  std::string template_text;  ///< taken in place of the checkpoint's own, unless empty
  Value::Map variables;       ///< messages, add_generation_prompt, tools, documents and what else the template reads
  std::string now;            ///< the time that it sees, "2026-01-31T23:59:00"
};

/// A checkpoint's way to write messages as one text. Immutable after construction.
class WHENCE_API ChatTemplate {
 public:
  /// `Model::query` of it points to one.
  static constexpr std::string_view kCapability = "whence.chat_template/1";

  ChatTemplate() = default;
  ChatTemplate(const ChatTemplate&) = delete;
  ChatTemplate& operator=(const ChatTemplate&) = delete;
  virtual ~ChatTemplate();

  /// None where the checkpoint has no template. [thread: any]
  virtual const std::vector<ChatTemplateSource>& sources() const = 0;
  /// The text, special tokens included. Throws InputError with the template's own words when it refuses the messages,
  /// ModelError for one that is missing or broken. [thread: any]
  virtual std::string render(const ChatRequest& request) const = 0;
};

}  // namespace whence
