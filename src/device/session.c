/*
 * session.c: memory, messages and cancelling of one piece of work.
 *
 * Memory is a doubly linked list of blocks taken from the host's allocator, so
 * that any block can be given back early and closing the session gives back the rest.
 * Each block starts with room to move its payload up to a cache line; the
 * header lies directly below the payload.
 */
#include "idla/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64
#define TEXT_SIZE 1024

typedef struct Block Block;
struct Block
{
	Block	   *next;
	Block	   *previous;
	void	   *base;			/* what the host gave */
	size_t		size;			/* what the host was asked for */
};

struct DevSession
{
	DevHost		host;
	uint64_t	seed;
	Block	   *blocks;			/* newest first */
	size_t		used;
	size_t		peak;
	DevStatus	status;
	char		message[TEXT_SIZE];
	char		detail[TEXT_SIZE];
	char		hint[TEXT_SIZE];
};

static void *
default_alloc(void *context, size_t size)
{
	(void) context;
	return malloc(size);
}

static void
default_release(void *context, void *block)
{
	(void) context;
	free(block);
}

DevStatus
dev_session_open(const DevHost *host, uint64_t seed, DevSession **session)
{
	DevHost		lent = {0};
	DevSession *opened;

	*session = NULL;
	if (host != NULL)
		lent = *host;
	if (lent.alloc == NULL || lent.release == NULL)
	{
		/* One without the other could free with the wrong allocator. */
		lent.alloc = default_alloc;
		lent.release = default_release;
	}
	opened = lent.alloc(lent.context, sizeof(*opened));
	if (opened == NULL)
		return DEV_NO_MEMORY;
	memset(opened, 0, sizeof(*opened));
	opened->host = lent;
	opened->seed = seed;
	*session = opened;
	return DEV_OK;
}

void
dev_session_close(DevSession *session)
{
	DevHost		host;

	if (session == NULL)
		return;
	host = session->host;
	while (session->blocks != NULL)
	{
		Block	   *block = session->blocks;

		session->blocks = block->next;
		host.release(host.context, block->base);
	}
	host.release(host.context, session);
}

uint64_t
dev_session_seed(const DevSession *session)
{
	return session->seed;
}

size_t
dev_session_used(const DevSession *session)
{
	return session->used;
}

size_t
dev_session_peak(const DevSession *session)
{
	return session->peak;
}

static void *
refuse(DevSession *session, size_t count, size_t size)
{
	if (size != 0 && count > SIZE_MAX / size)
		dev_fail(session, DEV_NO_MEMORY, "out of memory: %zu items of %zu bytes were asked for", count, size);
	else
		dev_fail(session, DEV_NO_MEMORY, "out of memory: %zu bytes were asked for", count * size);
	return NULL;
}

void *
dev_alloc(DevSession *session, size_t count, size_t size)
{
	const size_t extra = sizeof(Block) + ALIGNMENT - 1;
	size_t		wanted;
	char	   *base;
	char	   *payload;
	Block	   *block;

	if (size != 0 && count > (SIZE_MAX - extra) / size)
		return refuse(session, count, size);
	wanted = count * size + extra;
	if (session->host.memory_limit != 0 &&
		(session->used > session->host.memory_limit || wanted > session->host.memory_limit - session->used))
	{
		dev_fail(session, DEV_NO_MEMORY, "memory limit of %zu kB reached", session->host.memory_limit / 1024);
		dev_detail(session, "%zu kB are in use and %zu kB more are needed.", session->used / 1024, wanted / 1024 + 1);
		return NULL;
	}
	base = session->host.alloc(session->host.context, wanted);
	if (base == NULL)
		return refuse(session, count, size);

	payload = base + sizeof(Block);
	payload += (ALIGNMENT - (uintptr_t) payload % ALIGNMENT) % ALIGNMENT;
	memset(payload, 0, count * size);

	block = (Block *) (void *) (payload - sizeof(Block));
	block->base = base;
	block->size = wanted;
	block->previous = NULL;
	block->next = session->blocks;
	if (block->next != NULL)
		block->next->previous = block;
	session->blocks = block;
	session->used += wanted;
	if (session->used > session->peak)
		session->peak = session->used;
	return payload;
}

void
dev_release(DevSession *session, void *payload)
{
	Block	   *block;

	if (payload == NULL)
		return;
	block = (Block *) (void *) ((char *) payload - sizeof(Block));
	if (block->next != NULL)
		block->next->previous = block->previous;
	if (block->previous != NULL)
		block->previous->next = block->next;
	else
		session->blocks = block->next;
	session->used -= block->size;
	session->host.release(session->host.context, block->base);
}

char *
dev_strdup(DevSession *session, const char *text)
{
	size_t		size = strlen(text) + 1;
	char	   *copy = dev_alloc(session, size, 1);

	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}

/* Formats into a text of the session; what does not fit is cut between characters of UTF-8. */
static void
put_text(char *text, const char *format, va_list args)
{
	int			length = vsnprintf(text, TEXT_SIZE, format, args);

	if (length < 0)
		text[0] = '\0';
	else if (length >= TEXT_SIZE)
	{
		size_t		end = TEXT_SIZE - 1;
		size_t		start = end;

		while (start > 0 && ((unsigned char) text[start - 1] & 0xC0) == 0x80)
			start--;
		if (start > 0 && (unsigned char) text[start - 1] >= 0xC0)
		{
			unsigned char lead = (unsigned char) text[start - 1];
			size_t		expected = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;

			if (end - (start - 1) < expected)
				end = start - 1;
		}
		text[end] = '\0';
	}
}

DevStatus
dev_fail(DevSession *session, DevStatus status, const char *format,...)
{
	va_list		args;

	session->status = status;
	session->detail[0] = '\0';
	session->hint[0] = '\0';
	va_start(args, format);
	put_text(session->message, format, args);
	va_end(args);
	return status;
}

void
dev_detail(DevSession *session, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	put_text(session->detail, format, args);
	va_end(args);
}

void
dev_hint(DevSession *session, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	put_text(session->hint, format, args);
	va_end(args);
}

DevStatus
dev_status(const DevSession *session)
{
	return session->status;
}

const char *
dev_message_text(const DevSession *session)
{
	return session->message;
}

const char *
dev_detail_text(const DevSession *session)
{
	return session->detail;
}

const char *
dev_hint_text(const DevSession *session)
{
	return session->hint;
}

DevStatus
dev_poll(DevSession *session)
{
	if (session->host.cancelled != NULL && session->host.cancelled(session->host.context))
		return dev_fail(session, DEV_CANCELLED, "canceled by the host");
	return DEV_OK;
}
