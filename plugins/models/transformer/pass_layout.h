#pragma once

#include "decoder_pull_back.h"
#include "whence/forward.h"

namespace whence::transformer {

/// The asked positions [B,T] of texts of the given lengths, by text, then by step; `place` fills their rows in. Throws
/// InputError for a position outside its text.
std::vector<ReadRow> read_rows(const Tensor& positions, const std::vector<std::int64_t>& lengths);

/// Rows after the last one that is read are of no use unless somebody wants to see `all`.
std::vector<std::int64_t> needed_ends(const std::vector<ReadRow>& read, const std::vector<std::int64_t>& lengths,
                                      bool all);

/// Whole texts as segments, up to `ends`.
RowLayout whole_texts(const std::vector<std::int64_t>& ends);

/// Texts from their first changed rows on, behind what they share with a base of texts of `base_lengths`, whose keys
/// and values are `kept`. Throws std::invalid_argument when they cannot share it.
RowLayout changed_parts(const SharedPrefix& shared, const std::vector<std::int64_t>& base_lengths,
                        const KeyValues& kept, const std::vector<Rotary>& rotary,
                        const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& ends);

/// The rows of a decoder's layout as queries behind the positions of their sources: text b of the decoder looks at text
/// `sources[b]` of `key_values`, which outlives the result.
RowLayout behind_sources(const RowLayout& target, const KeyValues& key_values,
                         const std::vector<std::int64_t>& sources);

/// The sources of texts that share their beginnings. Throws std::invalid_argument unless they are as long as `lengths`
/// says.
std::vector<std::int64_t> shared_sources(const SharedPrefix& shared, const KeyValues& kept,
                                         const std::vector<std::int64_t>& lengths);

/// Attention of a layout's rows passes over positions that a batch marks as unseen, [B,L] bool or undefined.
void pass_over(const Tensor& unseen, RowLayout& layout);

/// Fills in where each read row lies in the pass.
void place(std::vector<ReadRow>& read, const RowLayout& layout);

/// Rows [R,D] of a pass as [B,L,D], zeros where there is none.
Tensor padded(const Tensor& rows, const RowLayout& layout, std::int64_t longest);

/// The rows [R,...] of a pass, of [B,L,...].
Tensor packed(const Tensor& all, const RowLayout& layout);

/// Packed cotangents [C,D] as [B,L,T,D]; with `first_changed_only` [B,1,T,D], the first row of each segment.
Tensor unpacked(const PackedCotangents& packed, const Tensor& rows, std::int64_t width, const RowLayout& layout,
                std::int64_t longest, std::int64_t steps, bool first_changed_only);

}  // namespace whence::transformer
