#pragma once

#include <filesystem>

#include "whence/chat_template.h"

namespace whence {

/// Chat templates in Jinja, as the transformers library runs them.
class JinjaChatTemplate : public ChatTemplate {
 public:
  /// `origin` is the checkpoint, `specials` are variables such as bos_token, `texts` has one for each source.
  JinjaChatTemplate(std::string origin, Value::Map specials, std::vector<ChatTemplateSource> sources,
                    std::vector<std::string> texts);

  const std::vector<ChatTemplateSource>& sources() const override { return sources_; }
  std::string render(const ChatRequest& request) const override;

 private:
  /// Index of the source that a request asks for.
  std::size_t choose(const ChatRequest& request) const;

  std::string origin_;
  Value::Map specials_;
  std::vector<ChatTemplateSource> sources_;
  std::vector<std::string> texts_;
};

/// The templates of a Hugging Face folder: chat_template.jinja and additional_chat_templates/*.jinja, else those of
/// tokenizer_config.json (a text, or a list of named ones), else of chat_template.json. Throws ModelError.
std::unique_ptr<ChatTemplate> chat_template_from_directory(const std::filesystem::path& directory);

}  // namespace whence
