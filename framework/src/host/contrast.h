#pragma once

#include <functional>
#include <vector>

#include "host/catalogue.h"
#include "host/experiment.h"
#include "whence/model.h"
#include "whence/sequence.h"

namespace whence::host {

/// The model that an alignment by states names; it outlives the call that asked for it.
using FindAligner = std::function<const Model&(const AlignmentChoice& choice)>;

/// True for a step function that compares each text with another: it has the parameter contrast_force_inputs.
bool is_contrastive(const PluginInfo& step_function);

/// The attributed function, if the method explains one and it compares texts; else null.
const PluginInfo* contrastive_attributed(const Catalogue& catalogue, const AttributionSpec& spec);

/// What can be said of the contrasts of an experiment before a model is read. Throws ConfigError for a contrast that no
/// attribution looks at, a text that has none where one does, an alignment without a contrastive target, and an
/// attributed function that would compare each token with itself; ModelError for an aligner that is not there.
void check_contrasts(const Catalogue& catalogue, const Experiment& experiment);

/// The contrast of an input, tokenised as `sequence` is, with the position that each of its steps is compared with. It
/// ends with an end mark where the sequence does. Throws InputError for a text that is too short or too long, pairs
/// that are outside of it or of the steps, and a source for a model that has none.
Contrast prepare_contrast(const Model& model, const InputText& input, const ChatOptions& chat, const Sequence& sequence,
                          const FindAligner& find_aligner);

/// The position in `other` that each step of a text is compared with, as the contrast of the input aligns them.
std::vector<std::int64_t> aligned_positions(const Model& model, const InputText& input, const Sequence& sequence,
                                            const TokenIds& other, const FindAligner& find_aligner);

/// Positions of a contrastive target of `length` tokens, counted from its end: the last step is compared with the last
/// token; where none is left that has one before it, with the last one.
std::vector<std::int64_t> right_positions(const Span& steps, std::int64_t length);
/// Positions by the partner that each token of a text has, or -1. A token without one is compared with what the
/// contrastive target has behind the partner of the token before it: what could stand in its place there.
std::vector<std::int64_t> partner_positions(const std::vector<std::int64_t>& partners, const Span& steps,
                                            std::int64_t length);

}  // namespace whence::host
