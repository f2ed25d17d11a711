/* Sums over the rows of a unit whose design columns are all there, in register tiles.

   Arrays of nodes are whole vectors of LANES numbers (see lanes.pxd). Written in C because
   only its vector types promise that sums stay in registers. x is (rows, width), f is
   (rows, n); pairs of columns d <= c have place c (c + 1) / 2 + d. */

typedef double lanes_t __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

#define VECTOR(p) (*(lanes_t *)(p))
#define CONSTANT_VECTOR(p) (*(const lanes_t *)(p))

/* out[c, q] += sum of x[i, c] f[i, q] over rows i */
static inline void add_columns(double *restrict out, const double *restrict x,
                               const double *restrict f, Py_ssize_t rows, Py_ssize_t width,
                               Py_ssize_t n)
{
    for (Py_ssize_t q = 0; q < n; q += LANES) {
        Py_ssize_t c = 0;
        for (; c + 4 <= width; c += 4) {
            double *o = out + c * n + q;
            lanes_t a = VECTOR(o), b = VECTOR(o + n), d = VECTOR(o + 2 * n), e = VECTOR(o + 3 * n);
            for (Py_ssize_t i = 0; i < rows; i++) {
                const double *u = x + i * width + c;
                lanes_t v = CONSTANT_VECTOR(f + i * n + q);
                a += u[0] * v;
                b += u[1] * v;
                d += u[2] * v;
                e += u[3] * v;
            }
            VECTOR(o) = a;
            VECTOR(o + n) = b;
            VECTOR(o + 2 * n) = d;
            VECTOR(o + 3 * n) = e;
        }
        for (; c < width; c++) {
            lanes_t a = VECTOR(out + c * n + q);
            for (Py_ssize_t i = 0; i < rows; i++)
                a += x[i * width + c] * CONSTANT_VECTOR(f + i * n + q);
            VECTOR(out + c * n + q) = a;
        }
    }
}

/* out[pair(c, d), q] += sum of x[i, c] x[i, d] f[i, q] over rows i */
static inline void add_column_pairs(double *restrict out, const double *restrict x,
                                    const double *restrict f, Py_ssize_t rows, Py_ssize_t width,
                                    Py_ssize_t n)
{
    for (Py_ssize_t q = 0; q < n; q += LANES) {
        for (Py_ssize_t c = 0; c < width; c++) {
            double *row = out + (c * (c + 1) / 2) * n + q;
            Py_ssize_t d = 0;
            for (; d + 3 <= c + 1; d += 3) {
                double *o = row + d * n;
                lanes_t a = VECTOR(o), b = VECTOR(o + n), e = VECTOR(o + 2 * n);
                for (Py_ssize_t i = 0; i < rows; i++) {
                    const double *u = x + i * width;
                    lanes_t v = u[c] * CONSTANT_VECTOR(f + i * n + q);
                    a += u[d] * v;
                    b += u[d + 1] * v;
                    e += u[d + 2] * v;
                }
                VECTOR(o) = a;
                VECTOR(o + n) = b;
                VECTOR(o + 2 * n) = e;
            }
            for (; d <= c; d++) {
                lanes_t a = VECTOR(row + d * n);
                for (Py_ssize_t i = 0; i < rows; i++)
                    a += x[i * width + c] * x[i * width + d] * CONSTANT_VECTOR(f + i * n + q);
                VECTOR(row + d * n) = a;
            }
        }
    }
}
