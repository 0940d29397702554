/* A token source for measuring clients: one thread, epoll, HTTP/1.1, OpenAI-style events in chunked bodies.
 *
 * build:  cc -O2 -o source source.c                            usage:  source
 *         cc -O2 -DWITH_TLS -o source source.c -lssl -lcrypto  usage:  source KEY_AND_CERTIFICATE.pem
 * It prints its port, and ends when its stdin does.
 * POST /v1/...             as fast as the socket takes
 * POST /p/TTFT_US/DT_US/v1/...  one event every DT_US after TTFT_US, each stream in its own phase; an event carries
 *                          "t_ns", CLOCK_MONOTONIC right before its send
 * GET  .../v1/models     one model, "m"; any other path is not found
 * GET  /log                the paced answers that ended since the last /log: a line each, "SEED RECEIVED_NS T_NS T_NS ..."
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
static SSL_CTX *tls_context;
#else
typedef void SSL;
#endif

static const char HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
enum { HEAD_BYTES = sizeof HEAD - 1, REQUEST_BYTES = 1 << 20, BLOCK_BYTES = 1 << 16, MAX_EVENTS = 1024 };

typedef struct Stream {
    int fd, paced, streaming, place; /* place in the heap of due times */
    long left, sent;
    uint64_t dt_ns, due_ns, received_ns, seed, *sent_ns;
    size_t have, out_len, out_off;
    char *request, *out;
    SSL *tls;
} Stream;

static int epoll_fd, heap_len;
static Stream *heap[1 << 16];
static char *log_text;
static size_t log_len, log_cap;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void place(int i, Stream *s) { heap[i] = s; s->place = i; }

static void sift(Stream *s) {
    int i = s->place;
    for (; i > 0 && heap[(i - 1) / 2]->due_ns > s->due_ns; i = (i - 1) / 2) place(i, heap[(i - 1) / 2]);
    place(i, s);
    for (int child; (child = 2 * i + 1) < heap_len; i = child) {
        if (child + 1 < heap_len && heap[child + 1]->due_ns < heap[child]->due_ns) child++;
        if (heap[child]->due_ns >= s->due_ns) break;
        place(i, heap[child]);
    }
    place(i, s);
}

static void schedule(Stream *s) {
    if (s->place < 0) { place(heap_len, s); heap_len++; }
    sift(s);
}

static void unschedule(Stream *s) {
    if (s->place < 0) return;
    Stream *last = heap[--heap_len];
    int i = s->place;
    s->place = -1;
    if (last != s) { place(i, last); sift(last); }
}

static void note(const char *line, size_t len) {
    if (log_len + len > log_cap) log_text = realloc(log_text, log_cap = 2 * (log_len + len) + 4096);
    memcpy(log_text + log_len, line, len);
    log_len += len;
}

static void note_answer(const Stream *s) {
    char word[64];
    note(word, (size_t)sprintf(word, "%llu %llu", (unsigned long long)s->seed, (unsigned long long)s->received_ns));
    for (long i = 0; i < s->sent; i++) note(word, (size_t)sprintf(word, " %llu", (unsigned long long)s->sent_ns[i]));
    note("\n", 1);
}

static void put_chunk(Stream *s, const char *event, int len) {
    s->out_len += (size_t)sprintf(s->out + s->out_len, "%x\r\n%s\r\n", (unsigned)len, event);
}

static void put_token(Stream *s) {
    char event[512], stamp[48] = "";
    if (s->paced) {
        s->sent_ns[s->sent] = now_ns();
        sprintf(stamp, ",\"t_ns\":%llu", (unsigned long long)s->sent_ns[s->sent]);
    }
    s->sent++, s->left--;
    int len = sprintf(event, "data: {\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\",\"object\":\"chat.completion.chunk\","
        "\"created\":1764000000,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"},\"logprobs\":null,"
        "\"finish_reason\":%s,\"token_ids\":null}]%s}\n\n", s->left ? "null" : "\"length\"", stamp);
    put_chunk(s, event, len);
    if (s->left) return;
    len = sprintf(event, "data: {\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":16,"
        "\"completion_tokens\":%ld}}\n\n", s->sent);
    put_chunk(s, event, len);
    s->out_len += (size_t)sprintf(s->out + s->out_len, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    s->streaming = 0;
    if (s->paced) note_answer(s);
}

#ifdef WITH_TLS
static ssize_t tls_result(Stream *s, int n) {
    if (n > 0) return n;
    int why = SSL_get_error(s->tls, n);
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    ERR_clear_error();
    return -1;
}
#endif

static ssize_t wire_send(Stream *s, const char *data, size_t len) {
#ifdef WITH_TLS
    if (s->tls) return tls_result(s, SSL_write(s->tls, data, (int)len));
#endif
    return send(s->fd, data, len, MSG_NOSIGNAL);
}

static ssize_t wire_recv(Stream *s, char *data, size_t len) {
#ifdef WITH_TLS
    if (s->tls) return tls_result(s, SSL_read(s->tls, data, (int)len)); /* the handshake comes first by itself */
#endif
    return recv(s->fd, data, len, 0);
}

static void drop(Stream *s) {
    unschedule(s);
#ifdef WITH_TLS
    SSL_free(s->tls);
#endif
    close(s->fd);
    free(s->request), free(s->out), free(s->sent_ns), free(s);
}

static int flush_out(Stream *s) { /* 1: all sent, 0: the socket is full, -1: gone */
    while (s->out_off < s->out_len) {
        ssize_t n = wire_send(s, s->out + s->out_off, s->out_len - s->out_off);
        if (n < 0 && errno != EAGAIN) return -1;
        struct epoll_event event = {EPOLLIN | (n < 0 ? EPOLLOUT : 0), {.ptr = s}};
        if (n < 0) return epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &event), 0;
        s->out_off += (size_t)n;
    }
    s->out_len = s->out_off = 0;
    return 1;
}

static int fire(Stream *s) { /* one block, then it is another stream's turn: epoll says when there is room again */
    static char ready[512];
    static size_t ready_len;
    if (!ready_len) { /* an event that is not the last is always the same: rendered once, the source outruns readers */
        put_token(s);
        ready_len = s->out_len - HEAD_BYTES;
        memcpy(ready, s->out + HEAD_BYTES, ready_len);
    }
    while (s->streaming && s->out_len < BLOCK_BYTES) {
        if (s->left == 1) { put_token(s); break; }
        memcpy(s->out + s->out_len, ready, ready_len);
        s->out_len += ready_len, s->sent++, s->left--;
    }
    int sent = flush_out(s);
    struct epoll_event event = {EPOLLIN | (sent == 0 || s->streaming ? EPOLLOUT : 0), {.ptr = s}};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &event);
    return sent;
}

static int answer_log(Stream *s) {
    char head[128];
    int len = sprintf(head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", log_len);
    wire_send(s, head, (size_t)len);
    for (size_t off = 0; off < log_len;) {
        ssize_t n = wire_send(s, log_text + off, log_len - off);
        if (n > 0) off += (size_t)n;
        else if (errno != EAGAIN) break;
    }
    log_len = 0;
    return -1;
}

static int answer_get(Stream *s) { /* enough to be recognised as a server */
    static const char models[] = "{\"data\":[{\"id\":\"m\",\"object\":\"model\"}]}";
    int known = strstr(s->request, "/v1/models ") != NULL;
    s->have = 0;
    s->out_len = (size_t)sprintf(s->out, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        known ? "200 OK" : "404 Not Found", known ? sizeof models - 1 : 2, known ? models : "{}");
    return flush_out(s) < 0 ? -1 : 0;
}

static int begin(Stream *s, const char *body) {
    unsigned long ttft_us = 0, dt_us = 0;
    const char *seed = strstr(body, "\"seed\":"), *asked = strstr(body, "\"max_completion_tokens\":");
    if (!asked) asked = strstr(body, "\"max_tokens\":");
    s->left = asked ? strtol(strchr(asked, ':') + 1, NULL, 10) : 16;
    s->seed = seed ? strtoull(strchr(seed, ':') + 1, NULL, 10) : 0;
    s->sent_ns = realloc(s->sent_ns, (size_t)s->left * sizeof *s->sent_ns);
    s->sent = 0, s->streaming = 1, s->received_ns = now_ns();
    s->paced = sscanf(s->request, "POST /p/%lu/%lu/", &ttft_us, &dt_us) == 2;
    memcpy(s->out, HEAD, s->out_len = HEAD_BYTES);
    if (!s->paced) return fire(s);
    s->dt_ns = dt_us * 1000u, s->due_ns = s->received_ns + ttft_us * 1000u;
    schedule(s);
    return 0;
}

static int receive(Stream *s) {
    ssize_t n = wire_recv(s, s->request + s->have, REQUEST_BYTES - 1 - s->have);
    if (n <= 0) return n < 0 && errno == EAGAIN ? 0 : -1;
    s->have += (size_t)n;
    s->request[s->have] = 0;
    char *end = strstr(s->request, "\r\n\r\n");
    if (!end) return 0;
    if (!strncmp(s->request, "GET /log", 8)) return answer_log(s);
    if (!strncmp(s->request, "GET ", 4)) return answer_get(s);
    char *length_header = strcasestr(s->request, "content-length:");
    size_t length = length_header ? strtoul(length_header + 15, NULL, 10) : 0;
    if (s->have < (size_t)(end + 4 - s->request) + length) return 0;
    s->have = 0; /* a client here waits for its answer before it asks again */
    return begin(s, end + 4);
}

static void tick(void) {
    uint64_t now = now_ns();
    while (heap_len && heap[0]->due_ns <= now) {
        Stream *s = heap[0];
        put_token(s);
        int sent = flush_out(s);
        if (sent < 0) { drop(s); continue; }
        if (s->streaming) { s->due_ns += s->dt_ns; schedule(s); } else unschedule(s);
        now = now_ns();
    }
}

static void accept_all(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        Stream *s = calloc(1, sizeof *s);
        *s = (Stream){.fd = fd, .place = -1, .request = malloc(REQUEST_BYTES), .out = malloc(BLOCK_BYTES + 4096)};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
#ifdef WITH_TLS
        if (tls_context) {
            s->tls = SSL_new(tls_context);
            SSL_set_fd(s->tls, fd);
            SSL_set_accept_state(s->tls);
        }
#endif
        struct epoll_event event = {EPOLLIN, {.ptr = s}};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static struct timespec until_due(void) {
    if (!heap_len) return (struct timespec){1, 0};
    uint64_t now = now_ns(), wait = heap[0]->due_ns > now ? heap[0]->due_ns - now : 0;
    return (struct timespec){(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
}

int main(int count_given, char **given) {
#ifdef WITH_TLS
    if (count_given > 1) {
        tls_context = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        if (SSL_CTX_use_certificate_chain_file(tls_context, given[1]) != 1 ||
            SSL_CTX_use_PrivateKey_file(tls_context, given[1], SSL_FILETYPE_PEM) != 1)
            return fprintf(stderr, "%s: no key and certificate\n", given[1]), 1;
    }
#else
    if (count_given > 1) return fprintf(stderr, "%s: built without TLS\n", given[0]), 1;
#endif
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof where;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    signal(SIGPIPE, SIG_IGN);
    if (bind(listener, (struct sockaddr *)&where, len) || listen(listener, 4096)) return perror("listen"), 1;
    getsockname(listener, (struct sockaddr *)&where, &len);
    epoll_fd = epoll_create1(0);
    struct epoll_event own = {EPOLLIN, {.ptr = &listener}}, parent = {EPOLLIN, {.ptr = NULL}};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &own);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &parent);
    printf("%d\n", ntohs(where.sin_port));
    fflush(stdout);
    for (struct epoll_event events[MAX_EVENTS];;) {
        struct timespec wait = until_due();
        int count = epoll_pwait2(epoll_fd, events, MAX_EVENTS, &wait, NULL);
        for (int i = 0; i < count; i++) {
            Stream *s = events[i].data.ptr;
            if (!s) return 0;
            if ((void *)s == (void *)&listener) { accept_all(listener); continue; }
            int alive = 0;
            if (events[i].events & EPOLLOUT) alive = s->paced ? flush_out(s) : fire(s);
            if (alive >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) alive = receive(s);
            if (alive < 0) drop(s);
        }
        tick();
    }
}
