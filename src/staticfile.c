/*
 * staticfile: files and assets as responses. See staticfile.h.
 *
 * A page is one name below the root with up to three variants: the file itself and the compressed
 * ones that lie beside it. All that exist are opened, because their mere existence makes the answer
 * vary; one is chosen, the others are closed before serving ends. What the request's conditions and
 * range make of the chosen one is staticmeta's business, what lies below the root is beneath's.
 */
#include "staticfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "assets.h"
#include "beneath.h"
#include "clock.h"
#include "conn.h"
#include "httpvalue.h"
#include "staticmeta.h"
#include "uri.h"

enum {
	NAME_BYTES_MAX = HTTP_URI_MAX + 64,  /* a path, with index.html and a suffix behind it */
	FIELDS_BYTES_MAX = 4 * HTTP_URI_MAX, /* a location may grow threefold */
	ETAG_MAX = 80,
};

/* In the order of our preference; the first is the file itself. */
static const struct {
	const char *suffix, *coding;
} codings[] = { { "", "identity" }, { ".br", "br" }, { ".gz", "gzip" } };

enum { VARIANT_COUNT = sizeof(codings) / sizeof(codings[0]) };

struct variant {
	bool exists;
	int fd;           /* of a file, owned; -1 = none */
	struct str bytes; /* of an asset */
	struct staticmeta meta;
	char etag[ETAG_MAX]; /* of a file; meta.etag points here */
};

struct page {
	struct buf name; /* relative to the root */
	struct variant variants[VARIANT_COUNT];
};

int staticfiles_init(struct staticfiles *files, const char *root)
{
	files->root_fd = -1;
	if (!root)
		return 0;
	files->root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return files->root_fd < 0 ? -errno : 0;
}

void staticfiles_done(struct staticfiles *files)
{
	if (files->root_fd >= 0)
		close(files->root_fd);
	files->root_fd = -1;
}

static void page_init(struct page *page)
{
	buf_init(&page->name, NAME_BYTES_MAX);
	for (size_t i = 0; i < VARIANT_COUNT; i++)
		page->variants[i] = (struct variant){ .fd = -1 };
}

static void page_done(struct page *page)
{
	for (size_t i = 0; i < VARIANT_COUNT; i++)
		if (page->variants[i].fd >= 0)
			close(page->variants[i].fd);
	buf_done(&page->name);
}

/* -ENOENT, or -EISDIR for a folder of assets. */
static int asset_open(struct str name, struct variant *variant)
{
	for (size_t i = 0; i < asset_count; i++) {
		if (str_eq(assets[i].name, name)) {
			variant->bytes = assets[i].bytes;
			variant->meta = (struct staticmeta){ .etag = assets[i].etag,
							     .size = assets[i].bytes.n };
			return 0;
		}
		if (str_starts(assets[i].name, name) &&
		    str_starts(str_from(assets[i].name, name.n), STR("/")))
			return -EISDIR;
	}
	return -ENOENT;
}

/* The tag is another one whenever the file was replaced or written to. */
static void file_describe(const struct stat *st, int64_t now_s, struct variant *variant)
{
	int n = snprintf(variant->etag, ETAG_MAX, "\"%jx-%jx-%jx.%jx\"", (uintmax_t)st->st_ino,
			 (uintmax_t)st->st_size, (uintmax_t)st->st_mtim.tv_sec,
			 (uintmax_t)st->st_mtim.tv_nsec);

	assert(n > 0 && n < ETAG_MAX);
	variant->meta = (struct staticmeta){
		.etag = { variant->etag, (size_t)n },
		.size = (uint64_t)st->st_size,
		.is_dated = true,
		/* RFC 9110 section 8.8.2.1: never a date in the future. */
		.modified_s = st->st_mtim.tv_sec < now_s ? st->st_mtim.tv_sec : now_s,
	};
}

/* -ENOENT for what is no regular file, -EISDIR for a folder, and what open(2) says. */
static int file_open(int root_fd, const char *name, int64_t now_s, struct variant *variant)
{
	int fd = beneath_open(root_fd, name), err = 0;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = S_ISDIR(st.st_mode) ? -EISDIR : -ENOENT;
	if (err) {
		close(fd);
		return err;
	}
	variant->fd = fd;
	file_describe(&st, now_s, variant);
	return 0;
}

static int variant_open(const struct staticfiles *files, struct page *page, size_t i, int64_t now_s)
{
	struct variant *variant = &page->variants[i];
	struct buf *name = &page->name;
	size_t name_len = name->n;
	int err;

	buf_add(name, str_of(codings[i].suffix));
	err = buf_add_char(name, '\0');
	if (!err && files->root_fd >= 0)
		err = file_open(files->root_fd, name->p, now_s, variant);
	else if (!err)
		err = asset_open((struct str){ name->p, name->n - 1 }, variant);
	name->n = name_len;
	variant->exists = !err;
	return err;
}

/* As uri_file_path() and file_open(); -EISDIR only for a folder without its slash. */
static int page_open(const struct staticfiles *files, struct str path, int64_t now_s,
		     struct page *page)
{
	struct buf *name = &page->name;
	int err = uri_file_path(path, name);
	bool is_folder = name->n == 0 || name->p[name->n - 1] == '/';

	if (!err && is_folder)
		err = buf_add(name, STR("index.html"));
	if (!err)
		err = variant_open(files, page, 0, now_s);
	if (err)
		return err == -EISDIR && is_folder ? -ENOENT : err;
	for (size_t i = 1; i < VARIANT_COUNT; i++)
		variant_open(files, page, i, now_s); /* one that fails is one that is not there */
	return 0;
}

static size_t page_choose(const struct page *page, const struct http_request *request)
{
	for (size_t i = 1; i < VARIANT_COUNT; i++)
		if (page->variants[i].exists &&
		    http_accepts_encoding(request, str_of(codings[i].coding)))
			return i;
	return 0;
}

static bool page_varies(const struct page *page)
{
	for (size_t i = 1; i < VARIANT_COUNT; i++)
		if (page->variants[i].exists)
			return true;
	return false;
}

/* What the bytes are, and what a browser may do with them. */
static void content_fields_add(struct buf *fields, const struct page *page, size_t chosen)
{
	const struct staticmeta *meta = &page->variants[chosen].meta;
	char date[HTTP_DATE_LEN];

	buf_addf(fields, "Content-Type: %.*s\r\n", STR_ARG(staticmeta_type(buf_str(&page->name))));
	if (chosen > 0)
		buf_addf(fields, "Content-Encoding: %s\r\n", codings[chosen].coding);
	if (meta->is_dated) {
		http_date_write(date, meta->modified_s);
		buf_addf(fields, "Last-Modified: %.*s\r\n", HTTP_DATE_LEN, date);
	}
	buf_add(fields, STR("Accept-Ranges: bytes\r\n"
			    "Content-Security-Policy: default-src 'none'; script-src 'self'; "
			    "style-src 'self'; img-src 'self' data:; font-src 'self'; "
			    "media-src 'self'; manifest-src 'self'; connect-src 'self'; "
			    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'\r\n"
			    "Referrer-Policy: no-referrer\r\n"));
}

static void fields_add(struct buf *fields, const struct page *page, size_t chosen, int status,
		       uint64_t first, uint64_t length)
{
	const struct staticmeta *meta = &page->variants[chosen].meta;

	buf_addf(fields, "ETag: %.*s\r\nCache-Control: no-cache\r\n", STR_ARG(meta->etag));
	if (page_varies(page))
		buf_add(fields, STR("Vary: Accept-Encoding\r\n"));
	if (status == 200 || status == 206)
		content_fields_add(fields, page, chosen);
	if (status == 206)
		buf_addf(fields, "Content-Range: bytes %ju-%ju/%ju\r\n", (uintmax_t)first,
			 (uintmax_t)(first + length - 1), (uintmax_t)meta->size);
	else if (status == 416)
		buf_addf(fields, "Content-Range: bytes */%ju\r\n", (uintmax_t)meta->size);
}

/* Sends that part of the variant behind the head: the exchange takes its file. */
static void variant_send(struct exchange *exchange, struct variant *variant, uint64_t first,
			 uint64_t length)
{
	if (variant->fd < 0) {
		exchange->blob = (struct str){ variant->bytes.p + first, length };
		return;
	}
	exchange->file_fd = variant->fd;
	exchange->file_at = (off_t)first;
	exchange->file_left = length;
	variant->fd = -1;
}

static void reply_page(struct hub *hub, struct conn *conn, const struct http_request *request,
		       struct page *page, int64_t now_s, struct buf *fields)
{
	size_t chosen = page_choose(page, request);
	struct variant *variant = &page->variants[chosen];
	uint64_t first, length;
	int status = staticmeta_status(request, &variant->meta, now_s, &first, &length);
	bool has_content = status == 200 || status == 206;

	fields_add(fields, page, chosen, status, first, length);
	if (fields->err) {
		reply_text(hub, conn, 503, "There is no memory for this.");
		return;
	}
	if (!has_content)
		length = status == 304 ? UINT64_MAX : 0;
	reply_head(hub, conn, status, length, fields);
	if (has_content && length > 0 && request->method != HTTP_HEAD)
		variant_send(conn_exchange(hub, conn), variant, first, length);
}

/* A folder is where its slash is: only then its pages' relative links lead into it. */
static void reply_moved(struct hub *hub, struct conn *conn, const struct http_request *request,
			const struct page *page, struct buf *fields)
{
	buf_add(fields, STR("Location: "));
	staticmeta_location(buf_str(&page->name), request->query, fields);
	if (buf_add(fields, STR("\r\nCache-Control: no-cache\r\n")))
		reply_text(hub, conn, 503, "There is no memory for this.");
	else
		reply_head(hub, conn, 301, 0, fields);
}

static void reply_no_page(struct hub *hub, struct conn *conn, int err)
{
	switch (-err) {
	case EINVAL: reply_text(hub, conn, 400, "The path has a malformed escape."); break;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN: reply_text(hub, conn, 503, "The page cannot be opened now."); break;
	case EIO: reply_text(hub, conn, 500, "The page cannot be read."); break;
	default: reply_text(hub, conn, 404, "There is no such page."); break;
	}
}

void staticfile_serve(struct hub *hub, struct conn *conn, const struct http_request *request)
{
	int64_t now_s = (int64_t)(clock_real_ms() / 1000);
	struct buf fields;
	struct page page;
	int err;

	page_init(&page);
	buf_init(&fields, FIELDS_BYTES_MAX);
	err = page_open(hub->files, request->path, now_s, &page);
	if (err == -EISDIR)
		reply_moved(hub, conn, request, &page, &fields);
	else if (err)
		reply_no_page(hub, conn, err);
	else
		reply_page(hub, conn, request, &page, now_s, &fields);
	buf_done(&fields);
	page_done(&page);
}
