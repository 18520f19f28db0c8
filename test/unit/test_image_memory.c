/*
 * test_image_memory.c: images when memory runs out, at every allocation in turn, and that all memory is given back.
 *
 * The allocations of the decoders' libraries are made to fail too, by a malloc of the test's own before glibc's. Under the
 * address sanitizer, which has a malloc of its own, only the second half is tested, by its search for leaks.
 */
#include "check_image.h"

#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
#define OWN_MALLOC 0
#else
#define OWN_MALLOC 1
#endif

static bool counting;
static size_t n_calls;
static size_t fail_at;			/* number of the call that fails, and all after it; 0: none */
static long n_held;

#if OWN_MALLOC

/* Seen by the shared libraries too. */
#pragma GCC visibility push(default)

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

static bool
refuse(void)
{
	return counting && ++n_calls >= fail_at && fail_at != 0;
}

void *
malloc(size_t size)
{
	void	   *block = refuse() ? NULL : __libc_malloc(size);

	n_held += counting && block != NULL ? 1 : 0;
	return block;
}

void *
calloc(size_t count, size_t size)
{
	void	   *block = refuse() ? NULL : __libc_calloc(count, size);

	n_held += counting && block != NULL ? 1 : 0;
	return block;
}

void *
realloc(void *old, size_t size)
{
	void	   *block = refuse() ? NULL : __libc_realloc(old, size);

	n_held += counting && block != NULL && old == NULL ? 1 : 0;
	return block;
}

void
free(void *block)
{
	n_held -= counting && block != NULL ? 1 : 0;
	__libc_free(block);
}

#pragma GCC visibility pop

#endif

/* ---- Work that takes memory ---- */

typedef struct Work
{
	const Made *made;			/* to be decoded; NULL: written */
	float	   *pixels;
	long		n_lost;			/* blocks that a library may lose: libjpeg-turbo 2.1 loses one when it fails at its start */
} Work;

static bool
work(const Work *work, LearnTrouble *trouble)
{
	void	   *bytes;
	size_t		size;

	if (work->made != NULL)
		return learn_image_decode(work->made->bytes, work->made->size, &(LearnImageWish) {.height = 8, .width = 8}, work->pixels, 192, trouble);
	if (!learn_png_write(work->pixels, 8, 8, 3, false, &bytes, &size, trouble))
		return bytes != NULL;
	free(bytes);
	return learn_heat_overlay(work->pixels, 8, 8, 1, work->pixels, 2, 2, 1, work->pixels, trouble);
}

static void
check_work(const Work *what, const char *name)
{
	LearnTrouble trouble;
	size_t		needed;
	bool		told = true;

	counting = true;
	n_held = 0;
	n_calls = 0;
	fail_at = 0;
	told = work(what, &trouble);
	counting = false;
	CHECK(told && n_held == 0, "%s works, and gives back all memory of %zu allocations", name, n_calls);
	needed = n_calls;
	for (size_t call = 1; OWN_MALLOC && call <= needed; call++)
	{
		bool		good;

		counting = true;
		n_held = 0;
		n_calls = 0;
		fail_at = call;
		good = work(what, &trouble);
		counting = false;
		if (!CHECK(!good && trouble.status == DEV_NO_MEMORY && n_held <= what->n_lost, "%s says so when allocation %zu fails", name, call))
			printf("#   %d, status %d, \"%s\", \"%s\", %ld held\n", good, (int) trouble.status, trouble.message, trouble.detail, n_held);
	}
}

static void
check_png_work(bool interlaced)
{
	static uint16_t samples[20 * 20 * 3];
	static float pixels[192];
	Made		made = make_png(&(MadePng) {.width = 20, .height = 20, .depth = 8, .kind = PNG_COLOR_TYPE_RGB, .interlaced = interlaced}, samples);

	check_work(&(Work) {&made, pixels, 0}, interlaced ? "decoding an interlaced PNG" : "decoding a PNG");
	made_free(&made);
}

static void
check_jpeg_work(int channels, int flags, const char *name)
{
	static uint8_t samples[20 * 20 * 4];
	static float pixels[192];
	Made		made = make_jpeg(samples, 20, 20, channels, TJSAMP_444, flags);

	check_work(&(Work) {&made, pixels, 1}, name);
	made_free(&made);
}

int
main(void)
{
	static float pixels[192];

	printf("# allocations are counted: %s\n", OWN_MALLOC ? "yes" : "no");
	check_png_work(false);
	check_png_work(true);
	check_jpeg_work(3, 0, "decoding a JPEG");
	check_jpeg_work(4, 0, "decoding a JPEG in CMYK");
	check_jpeg_work(3, TJFLAG_PROGRESSIVE, "decoding a progressive JPEG");
	check_work(&(Work) {NULL, pixels, 0}, "writing a PNG and an overlay");
	return check_done();
}
