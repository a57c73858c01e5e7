#include "checkpoint_fuzzer.h"
#include "sentence_piece_cutter.h"

namespace whence::transformer::fuzzing {

bool reads(std::span<const std::uint8_t> bytes) {
  const MemoryFile file(bytes);
  try {
    const auto cutter = sentence_piece_cutter(file.path(), PieceStyle::marian);
    std::vector<std::string> pieces;
    for (auto& piece : cutter->cut(">>fr<< Some te\xEF\xAC\x81xt, A\xCC\x81 and\xE3\x80\x80more \xE6\x97\xA5"))
      pieces.push_back(std::move(piece.text));
    cutter->join(pieces, std::vector<bool>(pieces.size()));
    return true;
  } catch (const ModelError&) {
    return false;
  }
}

}  // namespace whence::transformer::fuzzing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  whence::transformer::fuzzing::reads({data, size});
  return 0;
}
