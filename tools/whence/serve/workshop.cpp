#include "workshop.h"

#include "whence/generation_options.h"

namespace whence::serve {

void check_length(const Workshop& shop, const std::vector<std::string>& texts, const GenerationConfig* generation) {
  std::int64_t tokens = 0;
  for (const std::string& text : texts) tokens += std::ssize(shop.model().tokenizer().encode(text).ids);
  std::string kinds = "texts have " + std::to_string(tokens) + " tokens";
  if (generation) {
    const GenerationConfig resolved = resolved_generation(*generation, shop.model().info());
    const std::int64_t beams = std::max<std::int64_t>(1, resolved.num_beams.value_or(1));
    const std::int64_t added = std::max<std::int64_t>(0, most_tokens(resolved, shop.model().info(), tokens) - tokens);
    kinds += " and up to " + std::to_string(added) + " may be generated" +
             (beams > 1 ? " by " + std::to_string(beams) + " beams" : "");
    tokens += added > shop.max_tokens / beams ? shop.max_tokens + 1 : added * beams;  // the product might overflow
  }
  if (tokens > shop.max_tokens)
    throw InputError("the " + kinds + "; this server takes " + std::to_string(shop.max_tokens) +
                     " tokens a job (--max-tokens); shorten the texts or lower max_new_tokens");
}

}  // namespace whence::serve
