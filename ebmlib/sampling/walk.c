/* SGLD chains of an energy model, whole chains at a time (ebmlib/compiled.py builds and calls this).

   One update is a' = a + drift_k grad_a f(a) + noise_k. The gradient is the closed form of
   ebmlib.models.score.ActionScore, whose docstring holds the equations and the names used here.

   Chains lie along the vector lanes: a buffer of r features holds r * nv vectors, feature j of
   the block's chains at [j * nv]. A block of at most BLOCK vectors runs all of its steps before
   the next block begins, so activations stay in cache and threads never wait for one another.
   The arithmetic of a chain does not depend on its lane, its block or its thread: products are
   summed in the order of the features by fused multiply-adds that are written out (the build
   switches contraction off), so results are the same bits however the chains are divided. */

#define _GNU_SOURCE /* RTLD_DEFAULT */
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define BYTES 64
#define FMA(a, b, c) ((vec)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#elif defined(__AVX__) && defined(__FMA__)
#include <immintrin.h>
#define BYTES 32
#define FMA(a, b, c) ((vec)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#elif defined(__aarch64__)
#include <arm_neon.h>
#define BYTES 16
#define FMA(a, b, c) ((vec)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#else
#define BYTES 16
#define FMA(a, b, c) ((a) * (b) + (c))
#endif
/* a tile of ROWS x BLOCK vectors of sums fills the vector registers, less what feeds it */
#if defined(__AVX512F__) || defined(__aarch64__)
#define ROWS 8
#define BLOCK 3
#else
#define ROWS 6
#define BLOCK 2
#endif
#define LANES (BYTES / 4)
#define MOST_THREADS 256
#ifdef __clang__
#define UNROLLED(...) _Pragma("clang loop unroll(full)") for (__VA_ARGS__)
#else
#define UNROLLED(...) _Pragma("GCC unroll 8") for (__VA_ARGS__)
#endif

typedef float vec __attribute__((vector_size(BYTES)));
typedef int32_t ivec __attribute__((vector_size(BYTES)));

static inline vec all(float x) { return x - (vec){0}; }
/* a where the mask is set, else b */
static inline vec choose(ivec mask, vec a, vec b) { return (vec)((mask & (ivec)a) | (~mask & (ivec)b)); }
/* x where not s <= 0 (as PyTorch's threshold, which lets NaN through), else 0 */
static inline vec where_positive(vec s, vec x) { return (vec)(~(ivec)(s <= 0.0f) & (ivec)x); }

/* For x <= 0: power = 2^n and exp(r) - 1, to about 1e-7, where x = n log 2 + r; a Taylor polynomial
   in |r| <= log(2)/2. Below -87, where exp(x) leaves the normal numbers, x counts as -87. */
static inline vec exponential(vec x, vec *power) {
    const vec shift = all(12582912.0f); /* 1.5 * 2^23 rounds to a whole number */
    x = choose((ivec)(x < -87.0f), all(-87.0f), x);
    vec n = FMA(x, all(1.44269504f), shift) - shift;
    vec r = FMA(n, all(-0.693145752f), x);
    r = FMA(n, all(-1.42860677e-6f), r);
    vec p = all(1.0f / 5040);
    p = FMA(p, r, all(1.0f / 720));
    p = FMA(p, r, all(1.0f / 120));
    p = FMA(p, r, all(1.0f / 24));
    p = FMA(p, r, all(1.0f / 6));
    p = FMA(p, r, all(0.5f));
    p = FMA(p * r, r, r);
    ivec biased = (ivec)(n + shift) - (ivec)shift + 127;
    *power = (vec)(biased << 23);
    return p;
}

/* exp(x) - 1 for x <= 0 */
static inline vec expm1_negative(vec x) {
    vec power, p = exponential(x, &power);
    return FMA(power, p, power - 1.0f);
}

static inline vec tanh_of(vec x) {
    ivec sign = (ivec)x & (ivec)all(-0.0f);
    vec t = expm1_negative(-2.0f * (vec)((ivec)x & ~sign));
    return (vec)((ivec)(-t / (t + 2.0f)) | sign);
}

/* SiLU(s) = s sigma(s); *slope is its derivative sigma(s) (1 + s (1 - sigma(s))). With e = exp(-|s|),
   sigma(|s|) = 1 / (1 + e) and sigma(-|s|) = e / (1 + e): neither loses digits to the other. Where
   exponential() stops e is 0, since s may be larger than 1 / e there. */
static inline vec silu(vec s, vec *slope) {
    vec below = (vec)((ivec)s | (ivec)all(-0.0f)), power, p = exponential(below, &power);
    vec e = (vec)((ivec)(below > -87.0f) & (ivec)FMA(power, p, power));
    vec larger = 1.0f / (1.0f + e), smaller = e * larger;
    ivec negative = (ivec)(s < 0.0f);
    vec sigma = choose(negative, smaller, larger), rest = choose(negative, larger, smaller);
    *slope = FMA(s * sigma, rest, sigma);
    return s * sigma;
}

typedef struct {
    int64_t d, z, h, hidden;   /* z = 0: no embedding; hidden: square layers */
    int64_t residual, tanh, silu;
    const float *fe, *fe_bias; /* A (z, d), b (z) */
    const float *first;        /* W_0's action half (h, z or d) */
    const float *const *layers, *const *biases; /* W_i (h, h), b_i (h) */
    const float *output;       /* w (h) */
} Net;

typedef struct {
    const float *a, *context, *noise; /* (n, d), (n, h), (steps, n, d) */
    float *end;                       /* (n, d) */
    double *length;                   /* (n), added to, or NULL */
    const float *drifts;              /* (steps) */
    int64_t n, steps;
} Job;

static int64_t padded(int64_t rows) { return (rows + ROWS - 1) / ROWS * ROWS; }

/* Packed weights: FE_a, W_0, W_1 ... (forward), then W_L^T ... W_0^T, FE_a^T (backward). */
int64_t walk_packed_size(const Net *p) {
    int64_t u = p->z ? p->z : p->d, size = padded(p->h) * u + padded(u) * p->h;
    if (p->z) size += padded(p->z) * p->d + padded(p->d) * p->z;
    return size + 2 * p->hidden * padded(p->h) * p->h;
}

/* Panels of ROWS rows of the (rows, depth) matrix m[i * down + k * across], zero-padded. */
static float *pack(float *to, const float *m, int64_t rows, int64_t depth, int64_t down,
                   int64_t across) {
    for (int64_t top = 0; top < rows; top += ROWS)
        for (int64_t k = 0; k < depth; k++)
            for (int64_t i = top; i < top + ROWS; i++)
                *to++ = i < rows ? m[i * down + k * across] : 0.0f;
    return to;
}

void walk_pack(const Net *p, float *to) {
    int64_t u = p->z ? p->z : p->d, h = p->h;
    if (p->z) to = pack(to, p->fe, p->z, p->d, p->d, 1);
    to = pack(to, p->first, h, u, u, 1);
    for (int64_t i = 0; i < p->hidden; i++) to = pack(to, p->layers[i], h, h, h, 1);
    for (int64_t i = p->hidden - 1; i >= 0; i--) to = pack(to, p->layers[i], h, h, 1, h);
    to = pack(to, p->first, u, h, 1, u);
    if (p->z) pack(to, p->fe, p->d, p->z, 1, p->d);
}

/* out = M in for one panel of M; NV is a constant after inlining, so the sums stay in registers. */
static inline __attribute__((always_inline)) void tile(const float *restrict m, const vec *restrict in,
                                                       int64_t depth, vec *restrict out, const int NV) {
    vec sum[ROWS][BLOCK] = {{{0}}};
    for (int64_t k = 0; k < depth; k++, m += ROWS, in += NV)
        UNROLLED(int i = 0; i < ROWS; i++)
            UNROLLED(int v = 0; v < NV; v++) sum[i][v] = FMA(all(m[i]), in[v], sum[i][v]);
    UNROLLED(int i = 0; i < ROWS; i++)
        UNROLLED(int v = 0; v < NV; v++) out[i * NV + v] = sum[i][v];
}

/* out = M in for a packed (rows, depth) matrix; returns the matrix packed after it. */
static const float *product(const float *m, const vec *in, int64_t rows, int64_t depth, vec *out,
                            int nv) {
    for (int64_t top = 0; top < rows; top += ROWS, m += ROWS * depth, out += ROWS * nv) {
        if (nv == BLOCK) tile(m, in, depth, out, BLOCK);
        else if (nv == 2) tile(m, in, depth, out, 2);
        else tile(m, in, depth, out, 1);
    }
    return m;
}

typedef struct { vec *a, *gradient, *u, *slope, *context, *o, *s, *g, *masked, *t; } Space;

static int64_t space_vectors(const Net *p) {
    int64_t h = padded(p->h), u = padded(p->z ? p->z : p->d);
    return BLOCK * (2 * padded(p->d) + 3 * u + h * (2 * (p->hidden + 1) + 4));
}

static Space space_at(const Net *p, vec *at) {
    int64_t h = BLOCK * padded(p->h), u = BLOCK * padded(p->z ? p->z : p->d);
    int64_t d = BLOCK * padded(p->d), deep = p->hidden + 1;
    Space w;
    w.a = at, at += d;
    w.gradient = at, at += d;
    w.u = at, at += u;
    w.t = at, at += u;
    w.slope = at, at += u; /* psi', of SiLU */
    w.context = at, at += h;
    w.g = at, at += h;
    w.masked = at, at += h;
    w.o = at, at += deep * h; /* o_0 ... o_L, h apart */
    w.s = at;                 /* s_0 ... s_L; of SiLU its derivatives there */
    return w;
}

#define EACH_FEATURE(rows) \
    for (int64_t j = 0; j < (rows); j++) \
        for (int64_t at = j * nv; at < (j + 1) * nv; at++)

/* w.gradient = grad_a f at w.a */
static void gradient(const Net *p, const float *m, Space w, const int nv) {
    const int64_t h = p->h, width = BLOCK * padded(h), u = p->z ? p->z : p->d, last = p->hidden;
    const vec *features = w.a;
    if (p->z) {
        m = product(m, w.a, p->z, p->d, w.u, nv);
        if (p->silu) EACH_FEATURE(p->z) w.u[at] = silu(w.u[at] + p->fe_bias[j], w.slope + at);
        else EACH_FEATURE(p->z) {
            vec x = w.u[at] + p->fe_bias[j];
            w.u[at] = choose((ivec)(x <= 0.0f), expm1_negative(x), x);
        }
        features = w.u;
    }
    m = product(m, features, h, u, w.s, nv);
    if (p->tanh) EACH_FEATURE(h) w.o[at] = tanh_of(w.s[at] + w.context[at]);
    else if (p->silu) EACH_FEATURE(h) w.o[at] = silu(w.s[at] + w.context[at], w.s + at);
    else EACH_FEATURE(h) {
        vec s = w.s[at] + w.context[at];
        w.o[at] = where_positive(s, s);
    }
    for (int64_t i = 1; i <= last; i++) {
        const float *bias = p->biases[i - 1];
        vec *o = w.o + i * width, *s = w.s + i * width, *before = o - width;
        m = product(m, before, h, h, s, nv);
        if (p->silu) EACH_FEATURE(h) {
            o[at] = silu(s[at] + bias[j], s + at);
            if (i == last) w.masked[at] = s[at] * p->output[j];
            else o[at] = p->residual ? o[at] + before[at] : o[at];
        }
        else if (i == last) EACH_FEATURE(h) w.masked[at] = where_positive(s[at] + bias[j], all(p->output[j]));
        else EACH_FEATURE(h) {
            s[at] += bias[j];
            o[at] = where_positive(s[at], s[at]);
            if (p->residual) o[at] += before[at];
        }
    }
    EACH_FEATURE(h) w.g[at] = all(p->output[j]);
    for (int64_t i = last; i >= 1; i--) {
        vec *s = w.s + (i - 1) * width; /* through the activation of the layer before, unless it is phi */
        m = product(m, w.masked, h, h, w.s + last * width, nv);
        const vec *through = w.s + last * width;
        EACH_FEATURE(h) w.g[at] = p->residual ? through[at] + w.g[at] : through[at];
        if (i > 1 && p->silu) EACH_FEATURE(h) w.masked[at] = s[at] * w.g[at];
        else if (i > 1) EACH_FEATURE(h) w.masked[at] = where_positive(s[at], w.g[at]);
    }
    if (p->tanh) EACH_FEATURE(h) w.masked[at] = w.g[at] * FMA(-w.o[at], w.o[at], all(1.0f));
    else if (p->silu) EACH_FEATURE(h) w.masked[at] = w.s[at] * w.g[at];
    else EACH_FEATURE(h) w.masked[at] = where_positive(w.o[at], w.g[at]);
    if (!p->z) {
        product(m, w.masked, p->d, h, w.gradient, nv);
        return;
    }
    m = product(m, w.masked, p->z, h, w.t, nv);
    /* ELU'(s) is 1 where u > 0 and exp(s) = u + 1 elsewhere */
    if (p->silu) EACH_FEATURE(p->z) w.t[at] *= w.slope[at];
    else EACH_FEATURE(p->z) w.t[at] *= (vec)(~(ivec)(w.u[at] > 0.0f) & (ivec)w.u[at]) + 1.0f;
    product(m, w.t, p->d, p->z, w.gradient, nv);
}

/* All steps of the chains from ``first`` on, at most nv vectors of them. */
static void run_block(const Net *p, const float *packed, const Job *job, Space w, int64_t first, int nv) {
    const int64_t d = p->d, h = p->h, n = job->n, lanes = nv * LANES;
    const int64_t chains = n - first < lanes ? n - first : lanes;
    float *a = (float *)w.a, *context = (float *)w.context, *slope = (float *)w.gradient;
    memset(a, 0, sizeof(float) * d * lanes);       /* lanes beyond the last chain carry zeros */
    memset(context, 0, sizeof(float) * h * lanes);
    for (int64_t c = 0; c < chains; c++) {
        for (int64_t j = 0; j < d; j++) a[j * lanes + c] = job->a[(first + c) * d + j];
        for (int64_t j = 0; j < h; j++) context[j * lanes + c] = job->context[(first + c) * h + j];
    }
    for (int64_t k = 0; k < job->steps; k++) {
        const float *noise = job->noise + (k * n + first) * d, drift = job->drifts[k];
        gradient(p, packed, w, nv);
        for (int64_t c = 0; c < chains; c++) {
            float squared = 0.0f;
            for (int64_t j = 0; j < d; j++) {
                float step = drift * slope[j * lanes + c] + noise[c * d + j];
                a[j * lanes + c] += step;
                squared += step * step;
            }
            if (job->length) job->length[first + c] += sqrtf(squared);
        }
    }
    for (int64_t c = 0; c < chains; c++)
        for (int64_t j = 0; j < d; j++) job->end[(first + c) * d + j] = a[j * lanes + c];
}

typedef struct {
    const Net *net;
    const float *packed;
    const Job *job;
    vec *memory;
    int64_t vectors, blocks, next, threads, joined;
} Queue;

/* What a thread does: take the next block until none is left. */
static void work(void *queue) {
    Queue *q = queue;
    int64_t me = __atomic_fetch_add(&q->joined, 1, __ATOMIC_RELAXED);
    if (me >= q->threads) return;
    Space space = space_at(q->net, q->memory + me * space_vectors(q->net));
    for (;;) {
        int64_t b = __atomic_fetch_add(&q->next, 1, __ATOMIC_RELAXED);
        if (b >= q->blocks) return;
        int64_t from = b * q->vectors / q->blocks, to = (b + 1) * q->vectors / q->blocks;
        run_block(q->net, q->packed, q->job, space, from * LANES, (int)(to - from));
    }
}

static void *work_in_thread(void *queue) {
    work(queue);
    return NULL;
}

/* PyTorch's own threads, if its OpenMP runtime can be called: after an operation of PyTorch they
   spin for milliseconds, and threads beside them would have to share the cores with that. */
static void run_threads(Queue *q) {
    void (*team)(void (*)(void *), void *, unsigned, unsigned) = NULL;
    *(void **)&team = dlsym(RTLD_DEFAULT, "GOMP_parallel");
    if (team && q->threads > 1) {
        team(work, q, (unsigned)q->threads, 0);
        return;
    }
    pthread_t others[MOST_THREADS];
    int64_t started = 0;
    /* a thread that cannot be had is no loss: the others take its blocks */
    while (started < q->threads - 1 && !pthread_create(&others[started], NULL, work_in_thread, q)) started++;
    work(q);
    while (started) pthread_join(others[--started], NULL);
}

/* Run the job on at most ``threads`` threads; returns 0, or 1 if memory ran out. */
int walk_run(const Net *net, const float *packed, const Job *job, int threads) {
    Queue q = {.net = net, .packed = packed, .job = job};
    q.threads = threads < 1 ? 1 : threads > MOST_THREADS ? MOST_THREADS : threads;
    q.vectors = (job->n + LANES - 1) / LANES;
    /* as few blocks as BLOCK allows, but the same number for every thread */
    q.blocks = (q.vectors + BLOCK - 1) / BLOCK;
    q.blocks = (q.blocks + q.threads - 1) / q.threads * q.threads;
    if (q.blocks > q.vectors) q.blocks = q.vectors;
    void *memory;
    if (posix_memalign(&memory, BYTES, sizeof(vec) * space_vectors(net) * q.threads)) return 1;
    q.memory = memory;
    run_threads(&q);
    free(memory);
    return 0;
}
