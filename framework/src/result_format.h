#pragma once

/// Names in result files, shared by writer and reader. Most are the reference toolkit's; docs/results.md describes the
/// format.
namespace whence::result_format {

inline constexpr char kType[] = "__instance_type__";
inline constexpr char kAttributes[] = "attributes";

inline constexpr char kOutputModule[] = "inseq.data.attribution";
inline constexpr char kOutput[] = "FeatureAttributionOutput";
inline constexpr char kPlain[] = "FeatureAttributionSequenceOutput";
inline constexpr char kCoarse[] = "CoarseFeatureAttributionSequenceOutput";
inline constexpr char kGranular[] = "GranularFeatureAttributionSequenceOutput";
inline constexpr char kMultiDimensional[] = "MultiDimensionalFeatureAttributionSequenceOutput";
inline constexpr char kTokenModule[] = "inseq.utils.typing";
inline constexpr char kTokenClass[] = "TokenWithId";

/// Count of granularity dims of a multi-dimensional sequence.
inline constexpr char kNumDimensions[] = "_num_dimensions";
/// What only whence knows about a sequence. It stands beside the attributes, where the reference's loader does not
/// look: an attribute that it doesn't know makes its aggregation fail.
inline constexpr char kExtras[] = "whence";

/// Kinds of labels; a plain span says nothing.
inline constexpr char kContent[] = "content";
inline constexpr char kMarkup[] = "markup";

}  // namespace whence::result_format
