/**
 * The Beta distribution: what is believed of a share after some successes and failures.
 *
 * Source: ln Γ by Lanczos' approximation (g = 7, nine terms, relative error about 1e-15); the
 * regularised incomplete beta function by its continued fraction, evaluated as Lentz does; its
 * inverse by bisection that Newton's steps shorten.
 */

export interface Beta {
  /** Successes and failures, prior included; both above 0. */
  readonly alpha: number;
  readonly beta: number;
}

const LANCZOS_G = 7;
const LANCZOS_FIRST = 0.99999999999980993;
const LANCZOS = [
  676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
] as const;
const TINY = 1e-300;
const PRECISION = 1e-15;
/** A step of Newton's below this part of x, or of 1 - x, is followed by one of about its square. */
const INVERSE_PRECISION = 1e-9;
const FRACTION_STEPS_MAX = 1_000;
const INVERSE_STEPS_MAX = 200;

export function betaMean({ alpha, beta }: Beta): number {
  return alpha / (alpha + beta);
}

/** P(X <= x). Range: [0, 1]; x outside is taken to the nearer end. */
export function betaCdf(x: number, distribution: Beta): number {
  return cdf(x, distribution, lnScaleOf(distribution));
}

/** The x with P(X <= x) = p, to about twelve digits. */
export function betaQuantile(p: number, distribution: Beta): number {
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  const { alpha, beta } = distribution;
  const lnScale = lnScaleOf(distribution);
  let low = 0;
  let high = 1;
  let x = betaMean(distribution);
  for (let step = 0; step < INVERSE_STEPS_MAX && high - low > PRECISION; step += 1) {
    const error = cdf(x, distribution, lnScale) - p;
    if (error === 0) return x;
    if (error > 0) high = x;
    else low = x;
    const density = Math.exp(lnScale + (alpha - 1) * Math.log(x) + (beta - 1) * Math.log1p(-x));
    const next = x - error / density;
    const isInside = next > low && next < high;
    const scale = INVERSE_PRECISION * Math.min(next, 1 - next);
    if (isInside && Math.abs(next - x) < scale) return next;
    // At the ends the density is 0 or endless; halving always gets there.
    x = isInside ? next : (low + high) / 2;
  }
  return x;
}

function cdf(x: number, { alpha, beta }: Beta, lnScale: number): number {
  if (!(x > 0)) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(lnScale + alpha * Math.log(x) + beta * Math.log1p(-x));
  // The fraction converges fast on one side of the mean; the other is its mirror image.
  if (x < (alpha + 1) / (alpha + beta + 2)) return (front * fraction(x, alpha, beta)) / alpha;
  return 1 - (front * fraction(1 - x, beta, alpha)) / beta;
}

/** -ln of the beta function. */
function lnScaleOf({ alpha, beta }: Beta): number {
  return lnGamma(alpha + beta) - lnGamma(alpha) - lnGamma(beta);
}

function fraction(x: number, a: number, b: number): number {
  let c = 1;
  let d = safe(1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let m = 1; m <= FRACTION_STEPS_MAX; m += 1) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = safe(1 + even * d);
    c = safeUp(1 + even / c);
    result *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = safe(1 + odd * d);
    c = safeUp(1 + odd / c);
    result *= d * c;
    if (Math.abs(d * c - 1) < PRECISION) break;
  }
  return result;
}

function safe(value: number): number {
  return 1 / safeUp(value);
}

function safeUp(value: number): number {
  return Math.abs(value) < TINY ? TINY : value;
}

function lnGamma(value: number): number {
  if (value < 0.5) {
    return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * value))) - lnGamma(1 - value);
  }
  const x = value - 1;
  const base = x + LANCZOS_G + 0.5;
  const sum = LANCZOS.reduce((total, term, i) => total + term / (x + i + 1), LANCZOS_FIRST);
  return 0.5 * Math.log(2 * Math.PI) + (x + 0.5) * Math.log(base) - base + Math.log(sum);
}
