#pragma once

#include "decoder.h"
#include "weight_reader.h"

namespace whence::transformer {

/// Builds a decoder from the tensors of a checkpoint. Throws ModelError naming what is missing or of another shape.
Decoder read_decoder(DecoderConfig config, WeightReader& reader);

}  // namespace whence::transformer
