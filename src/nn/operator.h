/*
 * operator.h: what one operator is; private to src/nn.
 *
 * An operator is one file: a public builder that calls nn_node_add, and one
 * const NnOperator with its shape rule, forward, backward, per-example norms and
 * its ONNX form (`.onnx`).
 * It keeps no state: what belongs to a node is in NnNodeData, what belongs to a
 * pass is reached through the accessors below. forward and backward may not
 * fail and may not allocate; everything they need is asked for in the shape rule.
 */
#ifndef IDLA_NN_OPERATOR_H
#define IDLA_NN_OPERATOR_H

#include "idla/nn_onnx.h"

typedef struct NnNodeData NnNodeData;
typedef struct NnPass NnPass;
typedef struct NnOnnxNode NnOnnxNode;

/* What an operator does of a relu that alone reads its node and shares its buffers. */
typedef enum NnRelu
{
	NN_RELU_NONE,
	NN_RELU_FORWARD,
	NN_RELU_BOTH				/* forward and backward */
} NnRelu;

typedef struct NnOperator
{
	const char *name;

	/*
	 * Checks sources, parameters and options, and fills node->shape and, where
	 * wanted, the other fields marked "shape rule". Returns false after nn_reject.
	 */
	bool		(*shape) (NnGraph *graph, NnNodeData *node);

	/* Writes every value of nn_dst. NULL: the value is set from outside, or is the source's own (reshape). */
	void		(*forward) (const NnPass *pass);

	/*
	 * From nn_diff_dst to nn_diff_src of each source (where wanted) and nn_diff_parameter of each parameter
	 * (always added to). NULL: no gradient flows through.
	 */
	void		(*backward) (const NnPass *pass);

	/*
	 * squared[i] += squared norm of example i's gradient for all trained parameters of this node; reads nn_diff_dst.
	 * NULL: the run finds it by one-row backward passes into a scratch gradient, which needs mixes_examples false.
	 */
	void		(*norms) (const NnPass *pass, float *squared);

	/* Examples of a batch influence each other in NN_TRAIN (batch norm, Cox): there is no per-example gradient. */
	bool		mixes_examples;

	/*
	 * dst may be written over source 0's value: same size, forward reads src[i] before it writes dst[i]. It happens where
	 * the source's operator is overwritable, nobody else reads the source, and neither backward needs its value.
	 */
	bool		in_place;
	bool		overwritable;
	/* diff_src 0 may be written over diff_dst, element by element; operators with parameters must leave it as it is. */
	bool		diff_in_place;
	/* The node does the next one's relu where node->relu is set. */
	NnRelu		relu;
	/* Outside training the node adds the bias of the next one, and does its relu, where node->finisher is set. */
	bool		finishes;
	/* What backward or norms read: the values of float sources; the node's own value. */
	bool		reads_src;
	bool		reads_dst;
	/* Writes what forward computes outside training in ONNX, values having the batch before their own shape. NULL: there is no such form. */
	NnOnnxValue (*onnx) (const NnOnnxNode *at);
} NnOperator;

/* One node. Fields up to `options` are set before the shape rule runs. */
struct NnNodeData
{
	const NnOperator *op;
	NnNode		number;
	int			n_src;
	NnNode	   *src;
	int			n_parameters;
	NnParameter *parameters;	/* may hold NN_NONE where one is optional */
	void	   *options;		/* copy of the builder's options struct, NULL when none */
	char	   *name;			/* inputs only */

	/* Filled by the shape rule. Sizes are counted in floats. */
	NnShape		shape;
	bool		is_codes;		/* values are int32; no gradient */
	size_t		workspace_row;	/* kept from forward to backward, for each example */
	size_t		workspace_fixed;	/* kept from forward to backward, once */
	size_t		scratch_row;	/* lost after forward or backward returns, for each example */
	size_t		scratch_fixed;
	size_t		n_constants;	/* host values copied to device memory when a run is made: nn_constants */
	float	   *constants;		/* allocated from nn_graph_session */
	bool		reads_src;		/* start as the operator's, may be changed for this node */
	bool		reads_dst;
	bool		in_place;
	bool		diff_in_place;

	/* Filled by nn_node_add and nn_graph_compile. */
	size_t		size;			/* values an example has */
	int			n_consumers;
	bool		trained;		/* it or a node below it has a trained parameter */
	bool		mixed;			/* it or a node below it mixes examples */
	bool		kept;			/* see nn_graph_keep */
	bool		gradient_kept;	/* see nn_graph_keep_gradient */
	NnNode		value_owner;	/* the node whose value buffer this node uses in every run, itself by default */
	NnNode		diff_owner;		/* likewise for gradients */
	bool		relu;			/* does the relu of the node that reads it */
	NnRelu		done;			/* of a relu: what its source has done for it */
	NnNode		finisher;		/* of a product: the bias that alone reads it and shares its buffer, or NN_NONE; one bias for each of its columns */
	bool		finished;		/* of that bias */
};

struct NnGraph
{
	DevSession *session;
	int			n_nodes;
	int			max_nodes;
	NnNodeData **nodes;
	int			n_parameters;
	int			max_parameters;
	NnParameterInfo *parameters;
	float	  **given;			/* per parameter: values for NN_INIT_GIVEN, or NULL */
	int		   *n_uses;			/* per parameter: nodes that read it */
	size_t		n_weights;
	DevStatus	status;			/* of the first failed builder */
	bool		compiled;
};

/* ---- For builders and shape rules ---- */

/*
 * Adds a node. NN_NONE among src gives NN_NONE silently; a parameter that is NN_NONE is passed on as such
 * (an operator that needs it calls nn_need_parameter). options is copied.
 */
extern NnNode nn_node_add(NnGraph *graph, const NnOperator *op, const NnNode *src, int n_src,
						  const NnParameter *parameters, int n_parameters, const void *options, size_t options_size);

/* Records DEV_INVALID as the graph's failure (the first one counts), prefixed with the operator's name; returns false. */
extern bool nn_reject(NnGraph *graph, const NnNodeData *node, const char *format,...) DEV_PRINTF(3, 4);
/* The node has no memory for its constants or the like: returns false with DEV_NO_MEMORY as the graph's failure. */
extern bool nn_reject_memory(NnGraph *graph);

extern const NnShape *nn_src_shape(const NnGraph *graph, const NnNodeData *node, int i);
extern bool nn_src_is_codes(const NnGraph *graph, const NnNodeData *node, int i);
/* Shape of parameter i, or NULL after nn_reject when it is NN_NONE. */
extern const NnShape *nn_need_parameter(NnGraph *graph, const NnNodeData *node, int i);
/* nn_rejects a codes source, for operators that read floats. */
extern bool nn_need_floats(NnGraph *graph, const NnNodeData *node, int i);
extern bool nn_shape_equal(const NnShape *a, const NnShape *b);
/* Positions: product of all dimensions but the last; and the last. */
extern size_t nn_shape_positions(const NnShape *shape);
extern size_t nn_shape_last(const NnShape *shape);
/* "(32, 64)" into text, for messages; returns text. */
extern const char *nn_shape_text(const NnShape *shape, char *text, size_t size);
/* Roles that have a gradient; those, but the running statistics, are what an optimiser trains. */
extern bool nn_role_trained(NnRole role);

/* Whether the node is an activation by relu (activation.c). */
extern bool nn_is_relu(const NnNodeData *node);

/*
 * Is `node` alone in its buffer's future: read by one node and not kept, and so is everything that it is a reshaped view of? Then
 * that reader may write over it.
 */
extern bool nn_has_one_reader(const NnGraph *graph, const NnNodeData *node);

/* ---- For forward, backward and norms: one node in one pass ---- */

typedef struct NnTensor
{
	float	   *value;			/* (max_batch, size); int32_t for codes */
	float	   *diff;			/* the same, or NULL where no gradient is ever wanted */
	bool		written;		/* of an owner of gradients: diff holds a contribution in this backward pass */
	bool		wanted;			/* this backward pass wants the gradient of this node */
} NnTensor;

struct NnPass
{
	const DevPrimitives *device;	/* queue->primitives */
	DevQueue   *queue;
	const NnGraph *graph;
	const NnNodeData *node;
	NnMode		mode;
	size_t		batch;			/* rows of every buffer of this pass */
	size_t		row;			/* first row of this pass in the run's buffers, 0 but in one-row passes */
	uint64_t	seed;
	uint64_t	step;
	size_t		first_row;		/* number of the pass's first row in the whole batch of all threads */
	NnTensor   *tensors;		/* by node; nodes that share a buffer have the same one */
	const float *weights;
	float	   *diff_weights;	/* NULL: no parameter gradients wanted */
	float	   *workspace;		/* (batch, node->workspace_row) */
	float	   *workspace_fixed;	/* node->workspace_fixed */
	float	   *scratch;		/* (batch * node->scratch_row + node->scratch_fixed) */
	float	   *constants;		/* node->n_constants, device memory */
	bool		skip_src;		/* norms: parameter gradients only */
};

static inline size_t
nn_src_size(const NnPass *pass, int i)
{
	return pass->graph->nodes[pass->node->src[i]]->size;
}

/* Value of source i, (batch, size). */
static inline const float *
nn_src(const NnPass *pass, int i)
{
	const NnNodeData *src = pass->graph->nodes[pass->node->src[i]];

	return pass->tensors[src->number].value + pass->row * src->size;
}

static inline const int32_t *
nn_src_codes(const NnPass *pass, int i)
{
	return (const int32_t *) (const void *) nn_src(pass, i);
}

/* The node's own value, (batch, size). */
static inline float *
nn_dst(const NnPass *pass)
{
	return pass->tensors[pass->node->number].value + pass->row * pass->node->size;
}

/* Gradient of the node's value, complete when backward is called. */
static inline const float *
nn_diff_dst(const NnPass *pass)
{
	return pass->tensors[pass->node->number].diff + pass->row * pass->node->size;
}

/*
 * Where the gradient of source i goes; NULL when nobody wants it. *accumulate tells whether to add or to overwrite:
 * after this call the caller must do one or the other for every element, before it asks for the next source.
 */
static inline float *
nn_diff_src(const NnPass *pass, int i, bool *accumulate)
{
	const NnNodeData *src = pass->graph->nodes[pass->node->src[i]];
	NnTensor   *tensor = &pass->tensors[src->diff_owner];

	*accumulate = false;
	if (pass->skip_src || !pass->tensors[src->number].wanted)
		return NULL;
	*accumulate = tensor->written && src->diff_owner != pass->node->diff_owner;
	tensor->written = true;
	return pass->tensors[src->number].diff + pass->row * src->size;
}

/* Values of parameter i; NULL when it is NN_NONE. */
static inline const float *
nn_parameter_values(const NnPass *pass, int i)
{
	NnParameter parameter = pass->node->parameters[i];

	return parameter < 0 ? NULL : pass->weights + pass->graph->parameters[parameter].offset;
}

/* What a product outside training adds to its columns for the bias that follows, and whether it does a relu after that. */
static inline const float *
nn_finishing_bias(const NnPass *pass)
{
	NnNode		bias = pass->node->finisher;

	return bias == NN_NONE ? NULL : pass->weights + pass->graph->parameters[pass->graph->nodes[bias]->parameters[0]].offset;
}

static inline bool
nn_finishing_relu(const NnPass *pass)
{
	return pass->node->finisher != NN_NONE && pass->graph->nodes[pass->node->finisher]->relu;
}

/*
 * Gradient of parameter i, to be added to; NULL when none is wanted (no gradients bound, a constant,
 * or a running statistic outside NN_TRAIN: for those the slot gets (running - batch)).
 */
static inline float *
nn_diff_parameter(const NnPass *pass, int i)
{
	NnParameter parameter = pass->node->parameters[i];
	const NnParameterInfo *info;

	if (parameter < 0 || pass->diff_weights == NULL)
		return NULL;
	info = &pass->graph->parameters[parameter];
	if (info->role == NN_ROLE_CONSTANT || (info->role == NN_ROLE_STATISTIC && pass->mode != NN_TRAIN))
		return NULL;
	return pass->diff_weights + info->offset;
}

/* ---- For writing ONNX (onnx_graph.c) ---- */

struct NnOnnxNode
{
	NnOnnx	   *onnx;
	const NnGraph *graph;
	const NnNodeData *node;
	const NnOnnxValue *values;	/* by node */
	const float *weights;
};

/* A score that a softmax makes nothing of, and not infinite: nothing but such scores would be no numbers. */
#define NN_ONNX_NEVER (-1e30f)

extern NnOnnxValue nn_onnx_src(const NnOnnxNode *at, int i);
/* Parameter i as a constant; NN_NONE when the node has none. */
extern NnOnnxValue nn_onnx_parameter(const NnOnnxNode *at, int i);
/* An operator whose second source is an axis: Unsqueeze, Squeeze, ReduceSum. */
extern NnOnnxValue nn_onnx_along(NnOnnx *onnx, const char *operator, NnOnnxValue src, int64_t axis);

#define NN_OPERATOR(name) extern const NnOperator nn_operator_##name;
#include "operators.h"
#undef NN_OPERATOR

#endif							/* IDLA_NN_OPERATOR_H */
