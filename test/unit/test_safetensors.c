/*
 * test_safetensors.c: safetensors images are read as their format says, and what is not of that format is refused and
 * told: cut off anywhere, changed anywhere, entries twice, over each other, beside each other.
 */
#include "check.h"

#include "idla/learn_safetensors.h"

#define MOST 4096

typedef struct Image
{
	uint8_t		bytes[MOST];
	size_t		size;
} Image;

/* A header, `said` bytes of it being announced (-1: as many as it has), and n bytes of data that count up. */
static Image
make(const char *header, long said, size_t n)
{
	Image		image = {.size = 8 + strlen(header) + n};
	uint64_t	length = said < 0 ? strlen(header) : (uint64_t) said;

	for (int i = 0; i < 8; i++)
		image.bytes[i] = (uint8_t) (length >> (8 * i));
	memcpy(image.bytes + 8, header, strlen(header));
	for (size_t i = 0; i < n; i++)
		image.bytes[8 + strlen(header) + i] = (uint8_t) i;
	return image;
}

static const char good[] = "{\"__metadata__\":{\"b\":\"2\",\"a\\n\":\"\\u00e9\\ud83d\\ude00\\\"\"},"
	" \"x/y\" : {\"shape\":[2,1],\"data_offsets\":[4,12],\"dtype\":\"F32\"},"
	"\"empty\":{\"dtype\":\"F64\",\"shape\":[0,3],\"data_offsets\":[12,12]},\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},"
	"\"scalar\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[12,20]}}  \n";

static void
test_good(DevSession *session)
{
	Image		bytes = make(good, -1, 20);
	LearnSafetensors *image;
	const LearnTensor *tensor;

	CHECK_STATUS(session, learn_safetensors_open(session, bytes.bytes, bytes.size, &image), DEV_OK, "an image is read");
	CHECK(image->n == 4 && image->n_metadata == 2, "it has four tensors and two notes");
	tensor = learn_safetensors_find(image, "x/y");
	CHECK(tensor != NULL && strcmp(tensor->type, "F32") == 0 && tensor->rank == 2 && tensor->dims[0] == 2 && tensor->dims[1] == 1 &&
		  tensor->count == 2 && tensor->size == 8 && ((const uint8_t *) tensor->bytes)[0] == 4, "tensors have their shapes and bytes");
	tensor = learn_safetensors_find(image, "scalar");
	CHECK(tensor != NULL && tensor->rank == 0 && tensor->count == 1 && !learn_tensor_is_float(tensor), "one without dimensions is one value");
	tensor = learn_safetensors_find(image, "empty");
	CHECK(tensor != NULL && tensor->count == 0 && learn_tensor_floats(tensor, NULL), "one without values has none");
	CHECK(learn_safetensors_find(image, "x") == NULL, "others are not found");
	CHECK(strcmp(learn_safetensors_metadata(image, "a\n"), "\303\251\360\237\230\200\"") == 0, "escapes are resolved");
	CHECK(learn_safetensors_metadata(image, "c") == NULL, "other notes are not there");
	learn_safetensors_free(session, image);
}

static void
test_damaged(DevSession *session)
{
	static const struct
	{
		const char *header;
		long		said;
		size_t		data;
		const char *detail;
	}			cases[] = {
		{"{}", 3, 0, "said to have 3 bytes, and there are 2"},
		{"{}", 200000000, 0, "the format allows"},
		{"", -1, 0, "does not begin with a brace"},
		{" {}", -1, 0, "does not begin with a brace"},
		{"{", -1, 0, "ends where a text should be"},
		{"{\"a\"}", -1, 0, "Byte 4 of the header is not a colon"},
		{"{\"a\":{}}", -1, 0, "is not a text"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},}", -1, 4, "is not a text"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}", -1, 4, "the end of the header"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} {", -1, 4, "a blank after the header's end"},
		{"{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", -1, 4, "of type \"F31\""},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[01],\"data_offsets\":[0,4]}}", -1, 4, "a whole number"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", -1, 4, "the end of a list of numbers"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}", -1, 4, "is too large"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", -1, 4, "too large for any file"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", -1, 4, "lies at bytes 4 to 0 of 4"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", -1, 4, "lies at bytes 0 to 8 of 4"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", -1, 4, "has 4 bytes, and its shape needs 8"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", -1, 4, "no beginning and end"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", -1, 4, "more than 2 numbers"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", -1, 4, "more than 8 numbers"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", -1, 0, "lacks its dtype, shape or data_offsets"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}}", -1, 4, "\"shape\" twice"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", -1, 4, "\"more\" twice, or should not"},
		{"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
			"\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", -1, 3, "\"b\" overlaps \"a\""},
		{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
			"\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}", -1, 3, "1 bytes before tensor \"b\""},
		{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", -1, 3, "The last 2 bytes belong to no tensor"},
		{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
			"\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", -1, 2, "\"a\" is there twice"},
		{"{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", -1, 0, "\"a\" twice"},
		{"{\"__metadata__\":{},\"__metadata__\":{}}", -1, 0, "\"__metadata__\" twice"},
		{"{\"__metadata__\":{\"a\":1}}", -1, 0, "is not a text"},
		{"{\"__metadata__\":[]}", -1, 0, "is not the metadata"},
		{"{\"__metadata__\":{\"a\":\"\\u0000\"}}", -1, 0, "stands for nothing"},
		{"{\"__metadata__\":{\"a\":\"\\ud83d\"}}", -1, 0, "stands for nothing"},
		{"{\"__metadata__\":{\"a\":\"\\udc00\"}}", -1, 0, "stands for nothing"},
		{"{\"__metadata__\":{\"a\":\"\\x\"}}", -1, 0, "stands for nothing"},
		{"{\"__metadata__\":{\"a\":\"\\", -1, 0, "stands for nothing"},
		{"{\"__metadata__\":{\"a\":\"\\u12", -1, 0, "stands for nothing"},
		{"{\"__metadata__\":{\"a\":\"\n\"}}", -1, 0, "a control character"},
		{"{\"__metadata__\":{\"a\":\"", -1, 0, "the end of a text"},
		{"{\"__metadata__\":{\"\377\":\"\"}}", -1, 0, "is no UTF-8"}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Image		bytes = make(cases[i].header, cases[i].said, cases[i].data);
		LearnSafetensors *image;
		DevStatus	status = learn_safetensors_open(session, bytes.bytes, bytes.size, &image);

		if (!CHECK(status == DEV_CORRUPT && image == NULL && strstr(dev_detail_text(session), cases[i].detail) != NULL,
				   "refused: %s", cases[i].detail))
			printf("#   status %d, detail %s\n", (int) status, dev_detail_text(session));
	}
}

/* A block of its own size for each, so that reading past the end is seen. */
static DevStatus
open_copy(DevSession *session, const uint8_t *bytes, size_t size)
{
	uint8_t    *copy = malloc(size + 1);
	uint8_t    *at = copy + 1;
	LearnSafetensors *image;
	DevStatus	status;

	memcpy(at, bytes, size);
	status = learn_safetensors_open(session, at, size, &image);
	if (status == DEV_OK)
		learn_safetensors_free(session, image);
	free(copy);
	return status;
}

static void
test_everywhere(DevSession *session)
{
	Image		bytes = make(good, -1, 20);
	size_t		used = dev_session_used(session);
	bool		refused = true;
	size_t		n_read = 0;

	for (size_t size = 0; size < bytes.size; size++)
		refused = refused && open_copy(session, bytes.bytes, size) == DEV_CORRUPT;
	CHECK(refused, "cut off anywhere, it is refused");
	for (size_t at = 0; at < bytes.size; at++)
		for (int bit = 0; bit < 8; bit++)
		{
			bytes.bytes[at] ^= (uint8_t) (1 << bit);
			n_read += open_copy(session, bytes.bytes, bytes.size) == DEV_OK;
			bytes.bytes[at] ^= (uint8_t) (1 << bit);
		}
	CHECK(n_read > 20 * 8 && n_read < bytes.size * 8 / 2, "of all changed bits, those in values and names alone are not noticed: %zu", n_read);
	CHECK(dev_session_used(session) == used, "nothing is left behind");
}

static void
test_values(DevSession *session)
{
	static const uint8_t halves[] = {0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0xff, 0x7b, 0x00, 0x80, 0x00, 0x04};
	static const float half_values[] = {1, -2, 5.9604644775390625e-8f, 65504, -0.0f, 6.103515625e-5f};
	static const uint8_t brains[] = {0x80, 0x3f, 0x80, 0xc0};
	static const double doubles[] = {0.1, -1e30, 1e-60};
	LearnTensor tensor = {.type = "F16",.count = 6,.bytes = halves,.size = sizeof(halves)};
	float		values[6];
	double		large = 1e39;
	uint8_t		infinity[2] = {0x00, 0x7c};

	(void) session;
	CHECK(learn_tensor_is_float(&tensor) && learn_tensor_floats(&tensor, values) && memcmp(values, half_values, sizeof(values)) == 0,
		  "halves, those below normal included");
	tensor = (LearnTensor) {.type = "BF16",.count = 2,.bytes = brains,.size = sizeof(brains)};
	CHECK(learn_tensor_floats(&tensor, values) && values[0] == 1 && values[1] == -4, "bfloat16");
	tensor = (LearnTensor) {.type = "F64",.count = 3,.bytes = doubles,.size = sizeof(doubles)};
	CHECK(learn_tensor_floats(&tensor, values) && values[0] == 0.1f && values[1] == -1e30f && values[2] == 0, "doubles are rounded");
	tensor = (LearnTensor) {.type = "F64",.count = 1,.bytes = &large,.size = 8};
	CHECK(!learn_tensor_floats(&tensor, values), "what a float cannot hold is not finite");
	tensor = (LearnTensor) {.type = "F16",.count = 1,.bytes = infinity,.size = 2};
	CHECK(!learn_tensor_floats(&tensor, values), "infinity is not finite");
}

/* ---- memory ---- */

static void *
take_few(void *context, size_t size)
{
	int		   *left = context;

	return (*left)-- > 0 ? malloc(size) : NULL;
}

static void
give_back(void *context, void *block)
{
	(void) context;
	free(block);
}

static void
test_memory(void)
{
	Image		bytes = make(good, -1, 20);
	int			most = 0;
	DevStatus	status = DEV_NO_MEMORY;

	for (; most < 20 && status == DEV_NO_MEMORY; most++)
	{
		int			left = most;
		DevHost		host = {.context = &left,.alloc = take_few,.release = give_back};
		DevSession *session;
		LearnSafetensors *image;

		if (dev_session_open(&host, 1, &session) != DEV_OK)
			continue;
		status = learn_safetensors_open(session, bytes.bytes, bytes.size, &image);
		dev_session_close(session);
	}
	CHECK(status == DEV_OK && most > 4, "every failing allocation is told, and nothing leaks");
}

/* ---- cancel ---- */

static bool
always(void *context)
{
	(void) context;
	return true;
}

static void
test_cancel(void)
{
	DevHost		host = {.cancelled = always};
	DevSession *session;
	LearnSafetensors *image;
	size_t		size = (size_t) 3 << 20;
	uint8_t    *bytes = malloc(size + 8);

	memset(bytes, ' ', size + 8);
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t) (size >> (8 * i));
	memcpy(bytes + 8, "{}", 2);
	if (dev_session_open(&host, 1, &session) == DEV_OK)
	{
		CHECK(learn_safetensors_open(session, bytes, size + 8, &image) == DEV_CANCELLED && image == NULL, "a long header can be cancelled");
		dev_session_close(session);
	}
	free(bytes);
}

/* ---- many entries ---- */

/* So many entries of metadata, or of tensors without values. */
static uint8_t *
make_many(bool metadata, size_t n, size_t *size)
{
	static const char begin[] = "{\"__metadata__\":{";
	char	   *bytes = malloc(64 + n * 80);
	char	   *at = bytes + 8;
	uint64_t	length;

	at += sprintf(at, "%s", metadata ? begin : "{");
	for (size_t i = 0; i < n; i++)
		at += sprintf(at, metadata ? "%s\"%zx\":\"\"" : "%s\"%zx\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}",
					  i > 0 ? "," : "", i);
	at += sprintf(at, metadata ? "}}" : "}");
	*size = (size_t) (at - bytes);
	length = *size - 8;
	for (int i = 0; i < 8; i++)
		bytes[i] = (char) (length >> (8 * i));
	return (uint8_t *) bytes;
}

static void
test_many(DevSession *session)
{
	LearnSafetensors *image;

	for (int metadata = 0; metadata < 2; metadata++)
	{
		size_t		size;
		uint8_t    *bytes = make_many(metadata == 1, (size_t) LEARN_SAFETENSORS_ENTRIES + 1, &size);

		CHECK(learn_safetensors_open(session, bytes, size, &image) == DEV_CORRUPT && image == NULL &&
			  strstr(dev_detail_text(session), "The header has more than 1048576") != NULL, "too many entries are refused");
		free(bytes);
	}
}

static bool
later(void *context)
{
	int		   *left = context;

	return (*left)-- <= 0;
}

/* Shorter than what is looked through between two polls of the encoding, and damaged where the metadata end: they poll themselves. */
static void
test_cancel_metadata(void)
{
	int			left = 0;
	DevHost		host = {.context = &left,.cancelled = later};
	DevSession *session;
	LearnSafetensors *image;
	size_t		size;
	uint8_t    *bytes = make_many(true, 20000, &size);

	bytes[size - 2] = ']';
	CHECK(size < (size_t) 1 << 20, "the header is short");
	if (dev_session_open(&host, 1, &session) == DEV_OK)
	{
		CHECK(learn_safetensors_open(session, bytes, size, &image) == DEV_CANCELLED && image == NULL, "many entries of metadata can be cancelled");
		dev_session_close(session);
	}
	free(bytes);
}

int
main(void)
{
	DevHost		host = {0};
	DevSession *session;

	if (dev_session_open(&host, 1, &session) != DEV_OK)
		return 1;
	test_good(session);
	test_damaged(session);
	test_everywhere(session);
	test_values(session);
	test_memory();
	test_cancel();
	test_many(session);
	test_cancel_metadata();
	dev_session_close(session);
	return check_done();
}
