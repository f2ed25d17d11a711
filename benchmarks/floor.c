/* The floor: one pass of adaptive quadrature over a random-intercept logit, value and gradient.
 *
 * Nodes and data are given and nothing is searched for. The likelihood of a cluster at a node is
 * a product of probabilities, so that one logarithm per cluster and node is enough, and
 * exp(eta + u) is exp(eta) exp(u). Prints nanoseconds per row and node for one and two threads.
 *
 *     cc -O3 -march=native -ffast-math -fopenmp floor.c -lm -o floor && ./floor
 */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { NODES = 8, SIZE = 10, CLUSTERS = 10000, ROWS = CLUSTERS * SIZE, REPEATS = 50 };

static double predictor[ROWS], x1[ROWS], x2[ROWS], outcome[ROWS];
static double centre[CLUSTERS], spread[CLUSTERS];
static const double node[NODES] = {-4.1445, -2.8025, -1.6365, -.5391, .5391, 1.6365, 2.8025, 4.1445};
static const double log_weight[NODES] = {-9.1, -4.65, -2.14, -.985, -.985, -2.14, -4.65, -9.1};

static double one_pass(double gradient[4])
{
    double total = 0, g0 = 0, g1 = 0, g2 = 0, g3 = 0;
#pragma omp parallel for schedule(static) reduction(+ : total, g0, g1, g2, g3)
    for (int j = 0; j < CLUSTERS; j++) {
        const double *eta = predictor + j * SIZE, *a = x1 + j * SIZE, *b = x2 + j * SIZE;
        const double *y = outcome + j * SIZE;
        double u[NODES], odds[NODES], value[NODES], product[NODES];
        double s0[NODES] = {0}, s1[NODES] = {0}, s2[NODES] = {0}, base[SIZE];
#pragma omp simd
        for (int q = 0; q < NODES; q++) {
            u[q] = centre[j] + spread[j] * node[q];
            odds[q] = exp(u[q]);
            value[q] = log_weight[q] - .5 * u[q] * u[q] + .5 * node[q] * node[q];
            product[q] = 1;
        }
#pragma omp simd
        for (int i = 0; i < SIZE; i++)
            base[i] = exp(eta[i]);
        for (int i = 0; i < SIZE; i++)
#pragma omp simd
            for (int q = 0; q < NODES; q++) {
                double t = base[i] * odds[q], below = 1 + t, residual = y[i] - t / below;
                value[q] += y[i] * (eta[i] + u[q]);
                product[q] *= below;
                s0[q] += residual;
                s1[q] += residual * a[i];
                s2[q] += residual * b[i];
            }
        double largest = -INFINITY, sum = 0;
#pragma omp simd
        for (int q = 0; q < NODES; q++)
            value[q] -= log(product[q]);
        for (int q = 0; q < NODES; q++)
            largest = value[q] > largest ? value[q] : largest;
#pragma omp simd reduction(+ : sum)
        for (int q = 0; q < NODES; q++)
            sum += value[q] = exp(value[q] - largest);
        for (int q = 0; q < NODES; q++) {
            double weight = value[q] / sum;
            g0 += weight * s0[q];
            g1 += weight * s1[q];
            g2 += weight * s2[q];
            g3 += weight * s0[q] * u[q];
        }
        total += largest + log(sum * spread[j]);
    }
    gradient[0] = g0, gradient[1] = g1, gradient[2] = g2, gradient[3] = g3;
    return total;
}

int main(void)
{
    double gradient[4], check = 0;
    srand(1);
    for (int i = 0; i < ROWS; i++) {
        x1[i] = 3. * rand() / RAND_MAX - 1.5;
        x2[i] = rand() % 5 < 2;
        predictor[i] = -.5 + .8 * x1[i] - .6 * x2[i];
        outcome[i] = rand() % 20 < 9;
    }
    for (int j = 0; j < CLUSTERS; j++) {
        centre[j] = (double)rand() / RAND_MAX - .5;
        spread[j] = .5 + .2 * rand() / RAND_MAX;
    }
    for (int threads = 1; threads <= 2; threads++) {
        double best = INFINITY;
        omp_set_num_threads(threads);
        for (int r = 0; r < REPEATS; r++) {
            double began = omp_get_wtime();
            check += one_pass(gradient) + gradient[3];
            double taken = omp_get_wtime() - began;
            best = taken < best ? taken : best;
        }
        printf("%d %.6f\n", threads, 1e9 * best / ((double)ROWS * NODES));
    }
    return isfinite(check) ? 0 : 1;
}
