#pragma once

#include <filesystem>
#include <memory>

#include "piece_tokenizer.h"

namespace whence {

/// How a checkpoint uses its sentencepiece model beside a vocab.json.
enum class PieceStyle { marian, m2m_100 };

/// Cuts with the sentencepiece library. Throws ModelError when the file cannot be read or is damaged.
std::shared_ptr<const TextCutter> sentence_piece_cutter(const std::filesystem::path& file, PieceStyle style);

}  // namespace whence
