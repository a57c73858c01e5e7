#pragma once

#include "host/attribute.h"

namespace whence::host {

/// Appends a continuation to the ids of the `wanted` texts, in batches; `sources` is empty for decoder-only models.
/// What is drawn depends on the id of an input alone. Throws InputError for a text that leaves no room, or that nothing
/// is generated for.
void generate_texts(const Model& model, const std::vector<InputText>& inputs, const std::vector<std::size_t>& wanted,
                    const GenerationConfig& asked, const PrepareOptions& options, const std::vector<TokenIds>& sources,
                    std::vector<TokenIds>& ids);

}  // namespace whence::host
