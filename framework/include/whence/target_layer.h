#pragma once

#include <optional>
#include <string>
#include <vector>

#include "whence/export.h"
#include "whence/layer_site.h"
#include "whence/params.h"
#include "whence/problem.h"

namespace whence {

/// The layer that a method attributes to, as its users name it: the parameters `target_layer` (of any type) and
/// `attribute_to_layer_input`.
class WHENCE_API TargetLayer {
 public:
  /// Throws ConfigError for a layer of another type, and where embeddings have no input to attribute to.
  explicit TargetLayer(const Params& params);

  /// True for "all": the states between all blocks.
  bool every() const { return name_ == "all"; }
  /// Where that is in the model, one place for each side; empty: at the embeddings. A number alone means the blocks of
  /// that number on every attributed side. Throws UnknownName for a name, ConfigError for a number that the model
  /// lacks.
  std::vector<LayerSite> sites(const Problem& problem) const;
  /// What a reader should know: that a named stack leaves out a side whose attribution was asked for.
  std::vector<std::string> notes(const Problem& problem) const;
  /// For methods of the embeddings alone: throws ConfigError with the reason unless these are meant.
  void require_embeddings(const Problem& problem, const std::string& reason) const;

 private:
  /// A block by number, of one stack or of both.
  struct Block {
    std::optional<Side> stack;
    std::int64_t number = 0;  ///< negative ones count from the end
  };
  /// Nothing for embeddings and for all layers.
  std::optional<Block> block_in(const ModelInfo& model) const;

  Mark where_;
  std::string name_;  ///< empty: a number
  std::int64_t number_ = 0;
  bool input_;
};

}  // namespace whence
