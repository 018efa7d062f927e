"""Compute products with NumPy and SciPy, and print which kernels of OpenBLAS they ran.

The processor or OPENBLAS_CORETYPE chooses them. If the processor lacks their instructions, the
program ends with the signal SIGILL.
"""

import numpy as np
from scipy.linalg import blas
from threadpoolctl import threadpool_info

for dtype, multiply in ((np.float32, blas.sgemm), (np.float64, blas.dgemm)):
    x = np.ones((300, 300), dtype=dtype)
    products = [x @ x, multiply(1, x, x), (x @ x[:, :1]).repeat(300, axis=1)]
    assert all((each == 300).all() for each in products)
found = {
    f"{each['architecture']} of OpenBLAS {each['version']}"
    for each in threadpool_info()
    if each["internal_api"] == "openblas"
}
print(", ".join(sorted(found)) or "of a library other than OpenBLAS")
